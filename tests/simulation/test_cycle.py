"""Writing a cycle's inputs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from stormcast_tw.cycle import Cycle
from stormcast_tw.simulation.cycle import files_of_cycle, simulate_cycle

CYCLE = Cycle.parse("20260611T06Z")


def test_a_cycle_has_its_files_and_is_written_once(tmp_path: Path):
    seen: list[str] = []
    paths = simulate_cycle(CYCLE, str(tmp_path), progress=seen.append)
    assert paths == seen
    assert len(paths) == 2 + 9 + 24 + 3
    assert f"{tmp_path}/rwrp/2026061105/wrfout_d02_2026-06-11_06:00:00" in paths
    assert f"{tmp_path}/qpesums/20260611/CB_GC_PCP_1H_RAD.20260611.0600.gz" in paths
    assert f"{tmp_path}/global_ai/2026061018/EC-pangu_2026061018-24.grb" in paths
    assert sorted(str(path) for path in tmp_path.rglob("*") if path.is_file()) == sorted(paths)
    times = {path: Path(path).stat().st_mtime_ns for path in paths}
    assert simulate_cycle(CYCLE, str(tmp_path)) == paths
    assert times == {path: Path(path).stat().st_mtime_ns for path in paths}


def test_six_hourly_cycles_leave_an_analysis_or_a_first_hour_of_every_hour():
    valid = {CYCLE.valid_time(hour) for hour in range(-5, 7)}
    for cycle in (CYCLE, Cycle.parse("20260611T12Z")):
        for path, _ in files_of_cycle(cycle, 0, 12):
            if path.startswith("rwrp/"):
                run, time = path.split("/")[1:]
                init, stamp = datetime.strptime(run, "%Y%m%d%H"), datetime.strptime(time[-19:], "%Y-%m-%d_%H:%M:%S")
                if stamp - init <= timedelta(hours=1):
                    valid.discard(stamp.replace(tzinfo=UTC))
    assert not valid


def test_longer_forecasts_have_more_leads(tmp_path: Path):
    paths = simulate_cycle(CYCLE, str(tmp_path), lead_hours=14)
    assert [path.rsplit("-", 1)[1] for path in paths if "EC-pangu" in path] == ["12.grb", "18.grb", "24.grb", "30.grb"]
