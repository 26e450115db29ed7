"""What a message says of its sections and its packing: right, it is decoded; wrong, it is refused before that.

Octets are numbered from 1 in each section, as in the WMO Manual on Codes, FM 92.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from stormcast_tw.errors import BadInput
from stormcast_tw.sources.formats import grib
from stormcast_tw.sources.formats.grib_sections import Section, sections
from tests.sources.conftest import grib_message

T = datetime(2026, 6, 11, tzinfo=UTC)
LATITUDE, LONGITUDE = np.arange(30.0, 17.0, -0.5), np.arange(115.0, 128.0, 0.5)
WORLD = grib.Box(0.0, 90.0, 0.0, 359.0)
COMPLEX = "grid_complex_spatial_differencing"


def message(packing: str = "grid_simple", **keys) -> bytes:
    values = 260 + np.random.default_rng(0).normal(size=(26, 26)).cumsum(axis=1)
    return grib_message(("t", 500), values, LATITUDE, LONGITUDE, T, 6, packingType=packing, bitsPerValue=12, **keys)


def start_of(data: bytes, number: int) -> int:
    return next(section.start for section in sections(data, "") or () if section.number == number)


def changed(data: bytes, section: int, octet: int, number: int, octets: int = 1) -> bytes:
    at = start_of(data, section) + octet - 1
    return data[:at] + number.to_bytes(octets, "big") + data[at + octets :]


def decode(data: bytes) -> np.ndarray:
    with grib.opened(data, "f") as handle:
        return grib.field(handle, WORLD, "t500", "f")[0]


def with_length(data: bytes) -> bytes:
    return data[:8] + len(data).to_bytes(8, "big") + data[16:]


def test_the_sections_of_both_editions_are_told():
    two, one = message(), message(edition=1)
    found = sections(two, "f")
    assert [section.number for section in found] == [1, 3, 4, 5, 6, 7]
    assert found[0] == Section(1, 16, 21)
    assert found[-1].start + found[-1].length == len(two) - 4
    found = sections(one, "f")
    assert [section.number for section in found] == [1, 2, 4]
    assert found[-1].start + found[-1].length == len(one) - 4
    for data in (two, one):
        assert sections(data[:300], "f") == sections(data, "f")
        assert sections(data[:40], "f") is None


def test_sections_that_do_not_lie_end_to_end_are_refused():
    data = message()
    four, seven, end = start_of(data, 4), start_of(data, 7), len(data) - 4
    two_fields = with_length(data[:end] + data[four:end] + b"7777")
    no_grid = with_length(data[: start_of(data, 3)] + data[four:])
    one = message(edition=1)
    cases = {
        two_fields: r"f: holds several fields, which is not supported; split it, one field a message",
        no_grid: r"f: section 4 of 34 bytes at byte 37; allowed 2 of 5 or more or 3 of 14 or more",
        changed(data, 1, 1, 20, 4): r"f: section 1 of 20 bytes at byte 16; allowed 1 of 21 or more",
        changed(data, 7, 1, 5, 4): rf"f: its sections end at byte {seven + 5}; allowed {end}",
        changed(data, 5, 1, 2**31, 4): rf"f: its sections go on to byte \d+; allowed {len(data)}",
        with_length(data[:100]): r"f: its sections go on to byte 109; allowed 100",
        one[:8] + b"\0\0\x05" + one[11:]: r"f: section 1 of 5 bytes at byte 8; allowed 28 or more",
    }
    for wrong, problem in cases.items():
        with pytest.raises(BadInput, match=problem):
            sections(wrong, "f")


@pytest.mark.parametrize("packing", ["grid_simple", "grid_ccsds", "grid_complex", COMPLEX])
def test_every_packing_of_the_providers_is_decoded(packing: str):
    np.testing.assert_allclose(decode(message(packing)), decode(message()), atol=0.02)


def test_simple_packing_of_edition_1_is_decoded():
    np.testing.assert_allclose(decode(message(edition=1)), decode(message()), atol=0.02)


def test_other_packings_are_not_given_to_their_decoders():
    with pytest.raises(BadInput, match="f: t500 is packed as grid_ieee; allowed grid_simple, grid_ccsds, grid_complex"):
        decode(message("grid_ieee"))


@pytest.mark.parametrize(
    ("packing", "octet", "octets", "number", "problem"),
    [
        ("grid_simple", 6, 4, 677, r"f: t500's numberOfValues is 677; allowed range\(0, 677\)"),
        ("grid_simple", 20, 1, 33, r"f: t500's bitsPerValue is 33; allowed range\(0, 33\)"),
        ("grid_simple", 20, 1, 13, r"f: t500 has values of 8788 bits; its section holds 8112"),
        ("grid_ccsds", 20, 1, 200, r"f: t500's bitsPerValue is 200; allowed range\(0, 33\)"),
        ("grid_ccsds", 23, 1, 245, r"f: t500's ccsdsBlockSize is 245; allowed \(8, 16, 32, 64\)"),
        ("grid_ccsds", 24, 2, 0, r"f: t500's ccsdsRsi is 0; allowed range\(1, 4097\)"),
        (COMPLEX, 23, 1, 1, r"f: t500's missingValueManagementUsed is 1; allowed \(0,\)"),
        (COMPLEX, 32, 4, 2**31, r"f: t500's numberOfGroupsOfDataValues is 2147483648; allowed range\(1, 677\)"),
        (COMPLEX, 32, 4, 676, r"f: t500 has tables of groups to octet \d+; its section holds \d+"),
        (COMPLEX, 36, 1, 128, r"f: t500 has a group of 1[23]\d bits a value; allowed 0 to 32"),
        (COMPLEX, 37, 1, 40, r"f: t500's numberOfBitsUsedForTheGroupWidths is 40; allowed range\(0, 32\)"),
        (COMPLEX, 38, 4, 2**31, r"f: t500 has groups of \d{10,} values; allowed 676"),
        (COMPLEX, 43, 4, 677, r"f: t500's trueLengthOfLastGroup is 677; allowed range\(1, 677\)"),
        (COMPLEX, 47, 1, 200, r"f: t500's numberOfBitsForScaledGroupLengths is 200; allowed range\(0, 32\)"),
        (COMPLEX, 48, 1, 3, r"f: t500's orderOfSpatialDifferencing is 3; allowed \(1, 2\)"),
        (COMPLEX, 49, 1, 9, r"f: t500's numberOfOctetsExtraDescriptors is 9; allowed range\(1, 5\)"),
        (COMPLEX, 36, 1, 16, r"f: t500 has groups of 1\d{4} bits; its section holds \d{4}"),
    ],
)  # fmt: skip
def test_a_number_that_a_decoder_would_trust_is_refused(packing, octet, octets, number, problem):
    with pytest.raises(BadInput, match=problem):
        decode(changed(message(packing), 5, octet, number, octets))


def test_more_points_than_any_field_are_refused():
    data = changed(message(), 3, 31, 3000, 4)
    with pytest.raises(BadInput, match=r"f: t500's numberOfDataPoints is 676; allowed \(78000,\)"):
        decode(data)
    data = changed(changed(message(), 3, 31, 2_000_000, 4), 3, 7, 52_000_000, 4)
    with pytest.raises(BadInput, match=r"f: t500 has 52000000 points; allowed 4 to 8000000"):
        decode(data)


def test_another_grid_is_refused():
    with pytest.raises(BadInput, match="f: t500 is on a mercator grid; allowed regular_ll, lambert"):
        decode(changed(message(), 3, 13, 10, 2))


def test_what_eccodes_cannot_read_is_said():
    problem = r"f: eccodes cannot read a message of 8 bytes \("
    with pytest.raises(BadInput, match=problem), grib.opened(b"nonsense", "f") as handle:
        grib.identity(handle)
