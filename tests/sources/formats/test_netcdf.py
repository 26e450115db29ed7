"""NetCDF by byte ranges: every kind against the C library, the bytes that a read needs, damaged files."""

from __future__ import annotations

import itertools
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from soak.fuzz_netcdf import PARSERS, case, damaged
from soak.fuzzing import fuzz
from stormcast_tw.errors import BadInput, NotReady, Unreachable
from stormcast_tw.sources.formats.netcdf import LARGEST_SLAB, open_netcdf
from stormcast_tw.storage.provider_files import Folder, Reader, SourceFile

FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC", "NETCDF4")
PACKED = {"zlib": True, "shuffle": True, "fletcher32": True, "chunksizes": (1, 3, 5)}


def numbers(*shape: int, kind: str = "f4") -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 101).astype(kind)


VARIABLES = {
    # name: dimensions, values
    "level": (("z",), numbers(4, kind="f8")),
    "field": (("time", "y", "x"), numbers(3, 7, 11)),
    "count": (("time", "y"), numbers(3, 7, kind="i4")),
    "short": (("time",), numbers(3, kind="i2")),
    "ground": (("y", "x"), numbers(7, 11, kind="i2")),
    "text": (("time", "letters"), np.array([list("ab "), list("cde"), list("f  ")], dtype="S1")),
    "scalar": ((), np.float32(2.5)),
}
ATTRIBUTES = {"title": "five kinds, 台灣", "number": np.int32(7), "real": np.float32(0.5), "row": np.array([1.5, 2.5])}


def write(file: Path, format_name: str) -> bytes:
    with netCDF4.Dataset(file, "w", format=format_name) as out:
        for name, size in (("time", None), ("z", 4), ("y", 7), ("x", 11), ("letters", 3)):
            out.createDimension(name, size)
        out.setncatts(ATTRIBUTES)
        for name, (dimensions, values) in VARIABLES.items():
            packed = PACKED if name == "field" and format_name.startswith("NETCDF4") else {}
            variable = out.createVariable(name, values.dtype, dimensions, **packed)
            variable.units = f"units of {name}"
            variable[...] = values
    return file.read_bytes()


def reader(data: bytes) -> Reader:
    return Reader.of_bytes("there", data)


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_kind_is_read_as_the_c_library_reads_it(tmp_path: Path, format_name: str):
    with open_netcdf(reader(write(tmp_path / "f.nc", format_name))) as file:
        assert dict(file.dimensions) == {"time": 3, "z": 4, "y": 7, "x": 11, "letters": 3}
        assert file.attribute("title") == ATTRIBUTES["title"]
        assert (int(file.attribute("number")), float(file.attribute("real"))) == (7, 0.5)
        np.testing.assert_array_equal(file.attribute("row"), [1.5, 2.5])
        assert set(file.variables) == set(VARIABLES)
        for name, (dimensions, values) in VARIABLES.items():
            variable = file.variable(name)
            assert (variable.dimensions, variable.shape) == (dimensions, values.shape)
            assert variable.dtype.newbyteorder("=") == values.dtype
            assert variable.attributes["units"] == f"units of {name}"
            np.testing.assert_array_equal(variable.read(), values)


@pytest.mark.parametrize("format_name", FORMATS)
def test_any_slab_of_leading_indices_is_read(tmp_path: Path, format_name: str):
    with open_netcdf(reader(write(tmp_path / "f.nc", format_name))) as file:
        field = VARIABLES["field"][1]
        for leading in ((), (0,), (2,), (1, 6), (2, 3, 10)):
            np.testing.assert_array_equal(file.variable("field").read(*leading), field[leading])
        np.testing.assert_array_equal(file.variable("ground").read(5), VARIABLES["ground"][1][5])
        np.testing.assert_array_equal(file.variable("text").read(1), VARIABLES["text"][1][1])
        for leading in ((3,), (0, 7), (-1,), (0, 0, 0, 0)):
            with pytest.raises(BadInput, match=r"field: index \(.*\) asked for; its shape is \(3, 7, 11\)"):
                file.variable("field").read(*leading)
        with pytest.raises(BadInput, match="there: has no variable wind; found level, field"):
            file.variable("wind")
        with pytest.raises(BadInput, match="there: has no global attribute MAP_PROJ"):
            file.attribute("MAP_PROJ")


@pytest.mark.parametrize("format_name", FORMATS)
def test_rows_are_read_as_if_cut_from_the_whole(tmp_path: Path, format_name: str):
    with open_netcdf(reader(write(tmp_path / "f.nc", format_name))) as file:
        for name, (_, values) in VARIABLES.items():
            for fixed in range(values.ndim):
                leading, size = (1,) * fixed, values.shape[fixed]
                for start, stop in itertools.combinations(range(size + 1), 2):
                    found = file.variable(name).read(*leading, rows=slice(start, stop))
                    np.testing.assert_array_equal(
                        found, values[leading][start:stop], f"{name} {leading} {start} {stop}"
                    )
        for leading, rows in (((1,), slice(3, 8)), ((1,), slice(2, 2)), ((1,), slice(-1, 2)), ((1, 1, 1), slice(0, 1))):
            with pytest.raises(BadInput, match=r"field: slice\(.*\) of \(1.*\) asked for; its shape is \(3, 7, 11\)"):
                file.variable("field").read(*leading, rows=rows)


@pytest.mark.parametrize("format_name", FORMATS[:3])
def test_one_record_variable_is_packed_without_padding(tmp_path: Path, format_name: str):
    """The specification's exception: a file whose only record variable is short or char has no padding."""
    values = numbers(5, 3, kind="i2")
    with netCDF4.Dataset(tmp_path / "f.nc", "w", format=format_name) as out:
        out.createDimension("time", None)
        out.createDimension("x", 3)
        out.createVariable("short", "i2", ("time", "x"))[:] = values
    with open_netcdf(reader((tmp_path / "f.nc").read_bytes())) as file:
        np.testing.assert_array_equal(file.variable("short").read(), values)
        np.testing.assert_array_equal(file.variable("short").read(4), values[4])


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_bytes_used_are_those_of_the_slab(tmp_path: Path, format_name: str):
    """One record of a classic variable; in NetCDF-4 the chunks that the slab crosses, as h5py finds them."""
    data = write(tmp_path / "f.nc", format_name)
    opened = reader(data)
    with open_netcdf(opened) as file:
        assert opened.used.bytes_used == 0
        assert opened.used.bytes_of_index > 0
        file.variable("field").read(1)
        file.variable("ground").read(2)
    expected = 7 * 11 * 4
    if format_name.startswith("NETCDF4"):
        with h5py.File(tmp_path / "f.nc") as raw:
            chunks = [raw["field"].id.get_chunk_info(n) for n in range(raw["field"].id.get_num_chunks())]
            expected = sum(chunk.size for chunk in chunks if chunk.chunk_offset[0] == 1)
        assert len(chunks) == 27
    assert opened.used.bytes_used == expected + 11 * 2
    assert opened.used.digest.startswith("ranges:")


def test_ranges_are_read_of_a_file_on_disk(tmp_path: Path):
    write(tmp_path / "f.nc", "NETCDF4")
    folder = Folder(str(tmp_path))
    with folder.open(folder.find("f.nc")) as opened, open_netcdf(opened) as file:
        np.testing.assert_array_equal(file.variable("field").read(2), VARIABLES["field"][1][2])
        write(tmp_path / "f.nc", "NETCDF3_CLASSIC")
        with pytest.raises(NotReady, match=r"f\.nc: (changed while it was read|not there)"):
            file.variable("field").read(1)


def test_missing_chunks_hold_the_fill_value(tmp_path: Path):
    with netCDF4.Dataset(tmp_path / "f.nc", "w") as out:
        out.createDimension("time", None)
        out.createDimension("x", 6)
        variable = out.createVariable("v", "f4", ("time", "x"), fill_value=-9.0, chunksizes=(1, 4))
        variable[2] = numbers(6)
        out.createVariable("unwritten", "i4", ("x",), fill_value=-7)
    with open_netcdf(reader((tmp_path / "f.nc").read_bytes())) as file:
        np.testing.assert_array_equal(file.variable("v").read(), np.stack([np.full(6, -9), np.full(6, -9), numbers(6)]))
        np.testing.assert_array_equal(file.variable("unwritten").read(), np.full(6, -7))


def test_other_filters_and_other_files_are_refused(tmp_path: Path):
    with h5py.File(tmp_path / "f.nc", "w") as out:
        out.create_dataset("lzf", data=numbers(20), compression="lzf", chunks=(10,))
        out.create_dataset("scaled", data=numbers(20, kind="i4"), scaleoffset=0, chunks=(10,))
    with open_netcdf_with_phony(tmp_path / "f.nc") as file:
        with pytest.raises(BadInput, match=r"there: lzf is packed by HDF5 filter \[32000\]; allowed 1 \(gzip\), 2"):
            file.variable("lzf").read()
        with pytest.raises(BadInput, match=r"there: scaled is packed by HDF5 filter \[6\]; allowed 1"):
            file.variable("scaled").read()
    (tmp_path / "secret").write_bytes(bytes(80))
    with h5py.File(tmp_path / "g.nc", "w") as out:
        out.create_dataset("elsewhere", (20,), "f4", external=[(str(tmp_path / "secret"), 0, 80)])
        attach_scale(out, "elsewhere", 20)
    with (
        pytest.raises(BadInput, match="there: elsewhere lies in another file; allowed in this one"),
        open_netcdf(reader((tmp_path / "g.nc").read_bytes())),
    ):
        pass


def attach_scale(out: h5py.File, name: str, size: int) -> None:
    scale = out.require_dataset(f"x{size}", (size,), "f4")
    if not scale.is_scale:
        scale.make_scale(f"x{size}")
    out[name].dims[0].attach_scale(scale)


def open_netcdf_with_phony(file: Path):
    with h5py.File(file, "a") as out:
        for name in list(out):
            attach_scale(out, name, out[name].shape[0])
    return open_netcdf(reader(file.read_bytes()))


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


CLASSIC = {
    "records beyond the file": (lambda d: with_bytes(d, 4, b"\xff" * 4), r"says 4294967295 records in \d+ bytes"),
    "a tag that is none": (
        lambda d: with_bytes(d, 8, b"\0\0\0\x0d"),
        r"byte 16 of the header holds tag 13; allowed 10",
    ),
    "more dimensions than bytes": (lambda d: with_bytes(d, 12, b"\x7f" + b"\xff" * 3), r"lists 2147483647 entries in"),
    "a name beyond the file": (lambda d: with_bytes(d, 16, b"\x7f" + b"\xff" * 3), r"its header goes on beyond its"),
    "a long dimension": (lambda d: with_bytes(d, 36, b"\x7f" + b"\xff" * 3), r"dimension z has length 2147483647"),
    "a type that is none": (lambda d: with_bytes(d, d.index(b"title\0\0\0") + 8, b"\0\0\0\x0c"), r"holds type 12; all"),
    "cut in the header": (lambda d: d[:300], r"its header goes on beyond its 300 bytes"),
    "cut to the magic": (lambda d: d[:4], r"its header goes on beyond its 4 bytes"),
}


@pytest.mark.parametrize("name", CLASSIC)
def test_a_damaged_classic_header_is_refused(tmp_path: Path, name: str):
    damage, message = CLASSIC[name]
    data = damage(write(tmp_path / "f.nc", "NETCDF3_CLASSIC"))
    with pytest.raises(BadInput, match=r"^there: .*" + message), open_netcdf(reader(data)):
        pass


def variable_entry(data: bytes, name: str) -> int:
    """Return where the number of a variable's dimensions stands in a classic header."""
    at = data.index(struct.pack(">I", len(name)) + name.encode())
    return at + 4 + len(name) + -len(name) % 4


@pytest.mark.parametrize(
    ("offset", "number", "message"),
    [
        (0, 900, r"field has 900 dimensions; allowed 32"),
        (4, 77, r"field has dimensions \[77, 2, 3\]; there are 5"),
        (8, 0, r"the record dimension of field is not its first"),
    ],
)
def test_a_damaged_classic_variable_is_refused(tmp_path: Path, offset: int, number: int, message: str):
    data = write(tmp_path / "f.nc", "NETCDF3_CLASSIC")
    data = with_bytes(data, variable_entry(data, "field") + offset, struct.pack(">I", number))
    with pytest.raises(BadInput, match="^there: " + message), open_netcdf(reader(data)):
        pass


@pytest.mark.parametrize("format_name", FORMATS[:3])
def test_a_truncated_classic_file_is_refused_whatever_is_asked_for(tmp_path: Path, format_name: str):
    """As a file that is still being written; padding after the last value may be absent."""
    data = write(tmp_path / "f.nc", format_name)
    with open_netcdf(reader(data)) as file:
        np.testing.assert_array_equal(file.variable("text").read(2), VARIABLES["text"][1][2])
    last = data.rindex(b"f  ") + 3
    assert len(data) - last < 4
    with open_netcdf(reader(data[:last])) as file:
        np.testing.assert_array_equal(file.variable("text").read(2), VARIABLES["text"][1][2])
    for length in (last - 1, last - 200):
        with (
            pytest.raises(BadInput, match=rf"there: \w+ ends at byte \d+; the file at {length}: truncated"),
            open_netcdf(reader(data[:length])),
        ):
            pass


def test_a_file_of_holes_is_not_believed(tmp_path: Path):
    """A header that promises gigabytes costs nothing until they are asked for, and is then refused."""
    with netCDF4.Dataset(tmp_path / "f.nc", "w") as out:
        out.createDimension("x", 40_000)
        out.createDimension("y", 40_000)
        out.createVariable("huge", "f4", ("y", "x"), chunksizes=(100, 100))
        out.createVariable("dust", "i1", ("y",), chunksizes=(1,))
        out.createDimension("z", 100_000)
        out.createVariable("sand", "i1", ("z",), chunksizes=(1,))
    with open_netcdf(reader((tmp_path / "f.nc").read_bytes())) as file:
        with pytest.raises(BadInput, match=rf"there: huge asks for 6400000000 bytes at once; allowed {LARGEST_SLAB}"):
            file.variable("huge").read()
        assert file.variable("huge").read(7).shape == (40_000,)
        assert file.variable("dust").read().shape == (40_000,)
        with pytest.raises(BadInput, match=r"there: sand is asked for in 100000 chunks; allowed 65536"):
            file.variable("sand").read()


HDF5: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda d: d[:-1000], r"not a whole NetCDF-4 file \(.*truncated file: eof = \d+"),
    "only the magic": (lambda d: d[:8], r"not a whole NetCDF-4 file \("),
    "holes": (lambda d: with_bytes(d, 48, bytes(4000)), r"not a whole NetCDF-4 file \("),
}


@pytest.mark.parametrize("name", HDF5)
def test_a_damaged_netcdf4_file_is_refused(tmp_path: Path, name: str):
    damage, message = HDF5[name]
    data = damage(write(tmp_path / "f.nc", "NETCDF4"))
    with pytest.raises(BadInput, match="^there: " + message), open_netcdf(reader(data)) as file:
        file.variable("field").read()


@pytest.mark.parametrize("data", [b"", b"CDF\x03" + bytes(50), b"<!DOCTYPE html><html>", b"PK\x03\x04" + bytes(50)])
def test_what_is_not_netcdf_is_refused(data: bytes):
    with pytest.raises(BadInput, match=r"^there: begins with b.*; allowed a NetCDF file"), open_netcdf(reader(data)):
        pass


def first_chunk(file: Path) -> tuple[int, int]:
    with h5py.File(file) as raw:
        info = raw["field"].id.get_chunk_info(0)
        return info.byte_offset, info.size


def test_a_damaged_chunk_is_refused(tmp_path: Path):
    data = write(tmp_path / "f.nc", "NETCDF4")
    start, size = first_chunk(tmp_path / "f.nc")
    for at, length in ((start + size - 4, 4), (start, size)):
        with open_netcdf(reader(with_bytes(data, at, b"\x55" * length))) as file:
            with pytest.raises(
                BadInput, match=r"there: not a whole NetCDF-4 file \(Error -\d while decompressing data"
            ):
                file.variable("field").read(0)
            np.testing.assert_array_equal(file.variable("field").read(1), VARIABLES["field"][1][1])


def test_a_checksum_is_checked(tmp_path: Path):
    with h5py.File(tmp_path / "f.nc", "w") as out:
        out.create_dataset("field", data=numbers(20), chunks=(10,), fletcher32=True)
    start, _ = first_chunk(tmp_path / "f.nc")
    with open_netcdf_with_phony(tmp_path / "f.nc") as file:
        np.testing.assert_array_equal(file.variable("field").read(), numbers(20))
    data = with_bytes((tmp_path / "f.nc").read_bytes(), start + 8, b"\x01")
    with (
        open_netcdf(reader(data)) as file,
        pytest.raises(BadInput, match=r"there: not a whole NetCDF-4 file \(.*fletcher32 checksum"),
    ):
        file.variable("field").read()


def test_a_chunk_unpacks_to_no_more_than_fits(tmp_path: Path):
    bomb = zlib.compress(bytes(200_000_000), 9)
    with h5py.File(tmp_path / "f.nc", "w") as out:
        dataset = out.create_dataset("field", (10,), "f4", chunks=(10,), compression="gzip")
        dataset.id.write_direct_chunk((0,), bomb)
    with (
        open_netcdf_with_phony(tmp_path / "f.nc") as file,
        pytest.raises(BadInput, match=r"there: a chunk of field unpacks to 72 bytes; allowed 40"),
    ):
        file.variable("field").read()


def test_a_heap_without_end_is_refused(tmp_path: Path):
    """Found by fuzzing: zeros in a heap of texts, as a hole in a file leaves them, keep the library going for ever."""
    with h5py.File(tmp_path / "f.nc", "w") as out:
        out.attrs["text"] = "something of variable length"
        out.create_dataset("x", data=numbers(4)).make_scale("x")
    data = (tmp_path / "f.nc").read_bytes()
    heap = data.index(b"GCOL\x01")
    with open_netcdf(reader(data)) as file:
        assert file.attribute("text") == "something of variable length"
    hole = with_bytes(data, heap + 16, bytes(2000))
    with (
        pytest.raises(BadInput, match=rf"there: byte {heap + 16} begins free space of 0 bytes; allowed 16 or more"),
        open_netcdf(reader(hole)),
    ):
        pass


@pytest.mark.parametrize("error", [NotReady, Unreachable])
@pytest.mark.parametrize("good", [1, 2, 3])
def test_what_the_store_answers_is_not_taken_for_damage(tmp_path: Path, good: int, error: type[Exception]):
    data, calls = write(tmp_path / "f.nc", "NETCDF4"), []

    def read(start: int, length: int) -> bytes:
        calls.append(start)
        if len(calls) > good:
            raise error("there: says the store")
        return data[start : start + length]

    def attempt() -> None:
        with open_netcdf(Reader(SourceFile("there", "version", len(data)), read)) as file:
            file.variable("field").read(0)
            file.variable("field").read(1)

    with pytest.raises(error, match="there: says the store"):
        attempt()


def test_an_error_of_ours_inside_is_not_taken_for_damage(tmp_path: Path):
    with pytest.raises(ValueError, match="mine"), open_netcdf(reader(write(tmp_path / "f.nc", "NETCDF4"))):
        raise ValueError("mine")


def test_a_refused_file_does_not_end_the_process(tmp_path: Path):
    """What the HDF5 library keeps of a file it could not open must not outlive the interpreter."""
    write(tmp_path / "f.nc", "NETCDF4")
    script = f"""
from stormcast_tw.errors import BadInput, NotReady
from stormcast_tw.storage.provider_files import Reader, SourceFile
from stormcast_tw.sources.formats.netcdf import open_netcdf
data = open({str(tmp_path / "f.nc")!r}, "rb").read()
calls, kept = [], []
def read(start, length):
    calls.append(start)
    if len(calls) == 2:
        raise NotReady("changed")
    return data[start : start + length]
for data in (data, data[:3000]):
    try:
        with open_netcdf(Reader(SourceFile("there", "v", len(data)), read)):
            pass
    except (NotReady, BadInput) as error:
        kept.append(error)
print([type(error).__name__ for error in kept])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "['NotReady', 'BadInput']\n", "")


@pytest.mark.parametrize(
    ("kind", "cases"), [("CDF-1", 100), ("CDF-2", 100), ("CDF-5", 100), ("HDF5", 30), ("HDF5 latest", 30)]
)
def test_damaged_files_are_read_or_refused(kind: str, cases: int):
    """A small version of soak.fuzz_netcdf."""
    outcome = fuzz(PARSERS[kind](), cases, seed=2026)
    assert outcome.findings == []
    assert set(outcome.counts) == {"read", "BadInput"}
    assert sum(outcome.counts.values()) == cases
    assert outcome.counts["BadInput"] > cases / 2


def test_cases_of_the_fuzz_are_a_function_of_seed_and_number():
    data = bytes(range(256)) * 8
    first = [case("CDF-1", data, 1, number) for number in range(100)]
    assert first == [case("CDF-1", data, 1, number) for number in range(100)]
    assert sum(one != data for one in first) > 80
    assert damaged(data, random.Random(1)) != damaged(data, random.Random(2))
