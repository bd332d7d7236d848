"""Files as the makers write them, built byte by byte from the published layouts: formats without a sample file."""

import struct
from collections.abc import Sequence

HEADER_25 = bytes.fromhex("19000e000000700064007a00320035000100 0000".replace(" ", ""))


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def record(kind: int, payload: bytes) -> bytes:
    return struct.pack("<HI", kind, len(payload)) + payload


def pdz_spectrum(
    counts: Sequence[int],
    *,
    phase: int = 1,
    kv: float = 50.0,
    ua: float = 35.0,
    live: float = 58.5,
    zero_ev: float = -0.17,
    gain_ev: float = 20.01,
    filters: Sequence[tuple[int, int]] = ((22, 25), (13, 300), (0, 0)),
    illumination: str = "Mining Light",
) -> bytes:
    """Payload of a spectrum record of version 25; field by field, because nothing in it is aligned."""
    payload = struct.pack("<5I", phase, 1_000_000, 900_000, 890_000, 1234)
    payload += struct.pack("<5f", 60.4, live + 1.75, 1.25, 0.5, live)
    payload += struct.pack("<2f", kv, ua)
    for z, thickness in filters:
        payload += struct.pack("<2h", z, thickness)
    payload += struct.pack("<h2fi", 3, -27.5, 86.0, -1)
    payload += struct.pack("<fhf", gain_ev, 2, zero_ev)
    payload += struct.pack("<8H", 2023, 5, 4, 11, 13, 14, 15, 16)
    payload += struct.pack("<f3h", 1013.25, len(counts), 31, 0)
    payload += text(illumination) + struct.pack("<h", 4)
    return payload + struct.pack(f"<{len(counts)}I", *counts)


def pdz_instrument() -> bytes:
    payload = text("800N0001") + text("SMX-0001") + bytes([45, 20, 45, 50]) + struct.pack("<h", 125)
    payload += text("xFlash") + text("RxBox") + bytes([8, 5]) + text("Movable")
    return payload + struct.pack("<I", 2) + struct.pack("<H", 1) + text("2.7.58") + struct.pack("<H", 6) + text("1.1")


def pdz_result(name: str, z: int) -> bytes:
    return text(name) + struct.pack("<IB5f2h", z, 1, 0.75, 0.75, 0.01, 0.0, 0.0, 0, 0)


def pdz25(spectra: Sequence[bytes], *, more: bytes = b"") -> bytes:
    summary = struct.pack("<5I6f", len(spectra), 1, 1, 1, 1, 60.0, 60.0, 1.0, 0.5, 58.5, 60.0)
    summary += text("GeoExploration") + text("730.0081") + text("Supervisor")
    user = struct.pack("<h", 2) + text("Sample ID") + text("ore 17") + text("Note") + text("µ")
    content = HEADER_25 + record(1, pdz_instrument()) + record(2, summary)
    content += b"".join(record(3, spectrum) for spectrum in spectra)
    header = struct.pack("<2I2hH", 4, 1, 0, 1, 3) + text("geo.cal") + text("pkg") + text("1") + text("")
    return content + record(5, header) + record(6, pdz_result("La", 57)) + record(9, user) + more


def pdz24(counts: Sequence[int]) -> bytes:
    content = bytearray(358)
    struct.pack_into("<Hih", content, 0, 257, 23, len(counts))
    struct.pack_into("<d", content, 50, 20.0)
    struct.pack_into("<2f", content, 162, 40.0, 11.2)
    struct.pack_into("<4f", content, 342, 60.5, 1.0, 0.0, 58.25)
    return bytes(content) + struct.pack(f"<{len(counts)}i", *counts)


def chn(counts: Sequence[int], *, kind: int = -102, trailer: bool = True) -> bytes:
    content = struct.pack("<3h2s2i8s4s2h", -1, 7, 1, b"42", 3001, 2900, b"17SEP121", b"1342", 0, len(counts))
    content += struct.pack(f"<{len(counts)}i", *counts)
    end = bytearray(512)
    struct.pack_into("<2h6f", end, 0, kind, 0, -0.05, 0.2, 1e-6, 1.0, 0.0, 0.0)
    end[256:266] = bytes([9]) + b"HPGe no 1"
    end[320:327] = bytes([6]) + b"ore 17"
    return content + (bytes(end) if trailer else b"")


def spec(counts: Sequence[int]) -> str:
    rows = [counts[i : i + 16] for i in range(0, len(counts), 16)]
    spectrum = "\\\n".join(" ".join(map(str, row)) + " " for row in rows)
    return (
        "#F ore.spec\n#E 1\n#D Thu May 04 13:14:15 2023\n\n#S 1 ore 17\n#D Thu May 04 13:14:16 2023\n"
        f"#@MCA %16C\n#@CHANN {len(counts)} 0 {len(counts) - 1} 1\n#@CTIME 60 58.25 60.5\n#@CALIB -0.05 0.2 1e-06\n"
        f"@A {spectrum.strip()}\n\n#S 2 scan without spectrum\n#L x y\n1 2\n"
    )


def esprit(counts: Sequence[int]) -> str:
    header = (
        "Bruker Nano GmbH Berlin, Germany\nesprit 1.9\n\nDate: 05/04/2023 01:14:15 PM\nReal time: 60500\n"
        "Life time: 58250\nPulse density: 2019\n\n\nDetector type: XFlash 430\nWindow type: Beryllium\n"
        "Detector thickness: 0.45\nSi dead layer: 0.029\n\nCalibration, lin.: 200.0\nCalibration, abs.: -50.000\n"
        "Mn FWHM: 143.796\n"
        f"Fano factor: 0.116\nChannels: {len(counts)}\n\nEnergy     Counts\n"
    )
    return header + "".join(f"{-0.05 + 0.2 * i:.4f}    {n}\n" for i, n in enumerate(counts))


def handheld_csv(counts: Sequence[int]) -> str:
    header = (
        "Bruker AXS Handheld,Spectrum Viewer,Complete CSV\nFile,ore.pdz\neVPerChannel,200.0\nStartingKeV,-0.05\n"
        "LiveTimeInSeconds,58.25\nTotalElapsedTimeInSeconds,60.5\nSpectrum:\n"
    )
    return header + "".join(f"{n}\n" for n in counts)


def shimadzu(counts: Sequence[int]) -> str:
    lines = [
        "Sample    : ore 17", "Operator  : -", "Comment  : ", "Group     : bench",
        "Date       : 2020-10-13 12:59:27", "",
        "Mesurement Condition", "-" * 84,
        "Instrument : 700HS2   Atmosphere : Vac.   Collimator : 10(mm)   Spin : No", "-" * 84,
        "Analyte               TG kV   uA      FI Acq.(keV)  Anal.(keV)  Time(sec)     DT(%)", "-" * 84,
        "Na                    Rh 15 1000-Auto -  0 - 20    0.8 - 1.2   Live -   58    5",
        "Fe                    Rh 50  100-Auto Al  0 - 20    6.2 - 6.6   Live -   59    5", "", "<Profile>",
    ]  # fmt: skip
    top = 0.2 * len(counts)
    for name, points in (("Na", counts), ("Mg", ()), ("Fe", counts)):
        end = top if points else 0.0
        lines += ["Channel_info_start", f"Channel : {name}", f"Points : {len(points)}"]
        lines += [f"Range : 0.000000 - {end:.6f}", "Step : 0.200000", "Channel_info_end", *map(str, points)]
    return "".join(f'"{line}",\r\n' for line in lines)


def _put(content: bytearray, offset: int, layout: str, *values: object) -> None:
    struct.pack_into(layout, content, offset, *values)


def _pdp11(value: float) -> bytes:
    low, high = struct.unpack("<HH", struct.pack("<f", 4.0 * value))
    return struct.pack("<HH", high, low)


def cnf(counts: Sequence[int]) -> bytes:
    """Three sections of a CAM file; the number of channels is a multiple of 256."""
    padded = [*counts, *[0] * (-len(counts) % 256)]
    content = bytearray(0xA00) + struct.pack(f"<{len(padded)}I", *padded)
    for i, (kind, place) in enumerate(((0x12000, 0x200), (0x12001, 0x600), (0x12005, 0x800))):
        _put(content, 0x70 + 0x30 * i, "<I", kind)
        _put(content, 0x70 + 0x30 * i + 0x0A, "<I", place)
    _put(content, 0x200 + 0x22, "<2H", 0x100, 0x180)
    content[0x200 + 0xBA] = len(padded) // 256
    scale, times = 0x200 + 0x30 + 0x100, 0x200 + 0x30 + 0x180
    for at, value in ((0x44, -0.05), (0x48, 0.02), (0x4C, 1e-7)):
        content[scale + at : scale + at + 4] = _pdp11(value)
    content[scale + 0x5C : scale + 0x5F] = b"keV"
    _put(content, times + 1, "<Q", 49_000_000_000_000_000)
    _put(content, times + 9, "<2Q", 2**64 - 1 - 605_000_000, 2**64 - 1 - 582_500_000)
    content[0x630:0x636] = b"ore 17"
    return bytes(content)


def spc(counts: Sequence[int], *, real: bool = False) -> bytes:
    """Records of 128 bytes: header, acquisition, sample, calibration, spectrum."""
    padded = [*counts, *[0] * (-len(counts) % 32)]
    content = bytearray(4 * 128) + struct.pack(f"<{len(padded)}{'f' if real else 'I'}", *padded)
    _put(content, 0, "<2H", 1, 5 if real else 1)
    _put(content, 8, "<2H", 2, 3)
    _put(content, 34, "<H", 4)
    _put(content, 60, "<3H", 5, len(padded) // 32, len(counts))
    _put(content, 90, "<2f", 60.5, 58.25)
    content[128:166] = b"ORE17.SPC       17-SEP-121  13:42:30  "
    content[256:262] = b"ore 17"
    _put(content, 384 + 20, "<6f", -0.05, 0.2, 1e-6, 1.0, 0.01, 0.0)
    return bytes(content)


def jeol(counts: Sequence[int]) -> bytes:
    content = bytearray(458) + struct.pack(f"<{len(counts)}i", *counts) + b"\0" * 64
    content[0] = 2
    _put(content, 10, "<d", 43_000.5)
    content[18:24], content[98:100] = b"ore 17", b"me"
    _put(content, 218, "<9d", 0.0, 1.75, 0.12, 45.0, 0.2, 58.25, 60.5, 2.25, 1000.0)
    _put(content, 362, "<2d", 0.2, -0.05)
    content[378:384] = b"Live T"
    _put(content, 454, "<i", len(counts))
    return bytes(content)


def iec(counts: Sequence[int]) -> str:
    """Lines of fixed columns; the last line of counts is filled up with zeros."""
    padded = [*counts, *[0] * (-len(counts) % 5)]
    head = ["    1 ore 17", f"{58.25:12.2f}{60.5:12.2f}{len(counts):6d}", "01/02/20 03:04:05 01/02/20 03:04:05"]
    head += ["".join(f"{value:15.8E}" for value in values) for values in ((-0.05, 0.2, 1e-6, 0), (1, 0.01, 0, 0))]
    head += ["bench"] + [""] * 52
    rows = [f"{i:6d}" + "".join(f"{n:10d}" for n in padded[i : i + 5]) for i in range(0, len(padded), 5)]
    return "".join(f"A004{line}\r\n" for line in [*head, *rows])


def gsecars(counts: Sequence[int]) -> str:
    header = (
        "VERSION:    3.1\nELEMENTS:              2\nDATE:       May 04, 2023 13:14:15.016\n"
        f"CHANNELS:           {len(counts)}\nREAL_TIME:  60.500 60.500\nLIVE_TIME:  58.250 57.125\n"
        "CAL_OFFSET: -5.0000000e-002 -4.0000000e-002\nCAL_SLOPE:  2.0000000e-001 2.0100000e-001\n"
        "CAL_QUAD:   0.0000000e+000 0.0000000e+000\nROIS:       0 0\n"
        'ENVIRONMENT: 13IDA:E:Energy.VAL="21000.0" (Mono Energy)\nDATA: \n'
    )
    return header + "".join(f" {n} {n + 1}\n" for n in counts)


def spx(counts: Sequence[int]) -> str:
    """A spectrum, and the fitted background nested in its results, which is no spectrum of its own."""
    return (
        '<?xml version="1.0" encoding="WINDOWS-1252" standalone="yes"?>\r\n<TRTSpectrum>\r\n'
        '<ClassInstance Type="TRTSpectrum" Name="ore 17">\r\n<TRTHeaderedClass>\r\n'
        '<ClassInstance Type="TRTSpectrumHardwareHeader"><RealTime>60500</RealTime><LifeTime>58250</LifeTime>'
        "<DeadTime>4</DeadTime><ZeroPeakPosition>96</ZeroPeakPosition></ClassInstance>\r\n"
        '<ClassInstance Type="TRTXrfHeader"><Voltage>50</Voltage><Current>600</Current><Anode>45</Anode>'
        "<ExcitationFilter><FilterId>Al_630</FilterId></ExcitationFilter><Atmosphere>Air</Atmosphere></ClassInstance>\r\n"
        "</TRTHeaderedClass>\r\n"
        '<ClassInstance Type="TRTSpectrumHeader"><Date>4.5.2023</Date>'
        f"<ChannelCount>{len(counts)}</ChannelCount><CalibAbs>-5E-2</CalibAbs><CalibLin>2E-1</CalibLin></ClassInstance>\r\n"
        f"<Channels>{','.join(map(str, counts))}</Channels>\r\n"
        '<ClassInstance Type="TRTResult"><ClassInstance Type="TRTSpectrum"><Channels>1,2</Channels></ClassInstance>'
        "</ClassInstance>\r\n</ClassInstance>\r\n</TRTSpectrum>\r\n"
    )


def delta(counts: Sequence[int]) -> str:
    """Three exposures of one test, in columns."""
    said = {
        "TestID": "7", "ExposureNum": "", "Offset": "-0.01", "Slope": "0.2", "Livetime": "19.5", "Realtime": "20",
        "NumData": str(len(counts)), "TubeVoltageSet": "40", "FilterPosition": "", "TimeStamp": "22.4.2021 15:11",
    }  # fmt: skip
    rows = [[key, *(value or str(exposure) for exposure in (1, 2, 3))] for key, value in said.items()]
    return "".join(",".join(map(str, row)) + "\r\n" for row in [*rows, *(["", n, n, n] for n in counts)])
