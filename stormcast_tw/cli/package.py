"""`stormcast-tw package`: look at model packages, sign and exchange them. No logic of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stormcast_tw.cli.options import Json, PackageFolder
from stormcast_tw.cli.shown import example, print_result, print_table


def _configured() -> Path:
    from stormcast_tw.settings import settings

    return settings().package


package_app = typer.Typer(no_args_is_help=True, help="Show, check, sign and exchange model packages.")


@package_app.command("show", epilog=example("stormcast-tw package show demo"))
def package_show(folder: PackageFolder = None, as_json: Json = False) -> None:
    """Show what a package predicts, from what, and how."""
    from stormcast_tw.model.description import describe

    described = describe(folder or _configured())
    rows = {
        "summary": described.summary,
        "trained": "yes" if described.trained else "NO",
        "digest": described.digest,
        "grid": f"{described.grid.name} {described.grid.ny} x {described.grid.nx}",
        "predicts": f"{described.state_set}: {', '.join(described.state)}",
        "driven by": f"{described.background_set}: {', '.join(described.background)}",
        "networks": ", ".join(f"{n.role} ({n.file})" for n in described.networks),
        "sampler": f"{described.sampler.name}, {described.sampler.network_calls} calls, "
        f"sigma {described.sampler.sigma_min:g} to {described.sampler.sigma_max:g}",
        "members": str(described.members),
        "licence": described.licence,
    }
    if as_json:
        print_result("", described.model_dump(mode="json") | {"digest": described.digest}, True)
    else:
        print_table((), rows.items(), f"{described.name} {described.version}")


@package_app.command("check", epilog=example("stormcast-tw package check demo"))
def package_check(
    folder: PackageFolder = None,
    public_key: Annotated[Path | None, typer.Option(help="Also require a signature by this key (PEM).")] = None,
    as_json: Json = False,
) -> None:
    """Load a package completely, in a process of bounded time and memory, and check every digest, shape and value."""
    from stormcast_tw.model.bounded import within_limits
    from stormcast_tw.model.signature import verify

    where = folder or _configured()
    digest, parameters = within_limits(where, _check, where)
    if public_key is not None:
        verify(where, public_key)
    sizes = ", ".join(f"{role} {count:,} parameters" for role, count in parameters.items())
    outcome = {"digest": digest, "parameters": parameters, "signed": public_key is not None}
    print_result(f"{where}: valid; digest {digest}; {sizes}", outcome, as_json)


def _check(folder: Path) -> tuple[str, dict[Any, int]]:
    from stormcast_tw.model.package import check  # torch: only the child needs it

    return check(folder)


@package_app.command("sign", epilog=example("stormcast-tw package sign trainer.pem runs/new/package"))
def package_sign(
    private_key: Annotated[Path, typer.Argument(help="Ed25519 private key (PEM).")], folder: PackageFolder = None
) -> None:
    """Write a detached signature next to a package."""
    from stormcast_tw.model.signature import sign

    typer.echo(f"{sign(folder or _configured(), private_key)}: written")


@package_app.command("export", epilog=example("stormcast-tw package export mdlus demo"))
def package_export(
    target: Annotated[Path, typer.Argument(help="Folder to write.")], folder: PackageFolder = None
) -> None:
    """Write a package as physicsnemo .mdlus checkpoints, with its description next to them."""
    from stormcast_tw.model import package as packages
    from stormcast_tw.model.exchange import export_mdlus

    where = folder or _configured()
    typer.echo("\n".join(str(path) for path in export_mdlus(packages.load(where), where, target)))


@package_app.command("import", epilog=example("stormcast-tw package import mdlus packages/imported"))
def package_import(
    source: Annotated[Path, typer.Argument(help="Folder of .mdlus files and package.json.")],
    target: Annotated[Path, typer.Argument(help="Folder of the package to write.")],
) -> None:
    """Make a package from physicsnemo .mdlus checkpoints, loading weights only, in bounded time and memory."""
    from stormcast_tw.model.bounded import within_limits

    typer.echo(f"{target}: digest {within_limits(source, _import, source, target)}")


def _import(source: Path, target: Path) -> str:
    from stormcast_tw.model.exchange import import_package  # torch: only the child needs it

    return import_package(source, target)
