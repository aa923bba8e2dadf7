#!/usr/bin/env python3
"""Computes the launch digests of tests/vectors/launch.json: those of SEV-SNP with
sev-snp-measure, those of TDX by what Intel's TDX module specification says."""

import hashlib
import json
import pathlib
import sys

from sevsnpmeasure import id_block
from sevsnpmeasure.gctx import GCTX
from sevsnpmeasure.vcpu_types import CPU_SIGS, cpu_sig
from sevsnpmeasure.vmm_types import VMMType
from sevsnpmeasure.vmsa import VMSA

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "launch.json"
MONITORS = {"qemu": VMMType.QEMU, "ec2": VMMType.ec2, "gce": VMMType.gce}
PAGE = 4096


def save_area(start):
    area = VMSA.build_save_area(
        start["instruction_pointer"],
        start["features"],
        start["signature"],
        MONITORS.get(start["monitor"], VMMType.QEMU),
    )
    if start["monitor"] == "enarx":
        protected_mode(area, start["index"])
    return bytes(area)


def protected_mode(area, index):
    """How a Keep's processor differs from QEMU's: 32-bit protected mode, flat segments."""
    for segment in (area.es, area.cs, area.ss, area.ds, area.fs, area.gs):
        segment.selector, segment.attrib = 0x18, 0xC93
        segment.limit, segment.base = 0xFFFFFFFF, 0
    area.cs.selector, area.cs.attrib = 0x10, 0xC9B
    area.tr.limit = 0x67
    area.cr0 = 0x11
    area.rip = 0x200010 if index else 0x200000
    area.rsi = index


def launch(pages, save_areas):
    context = GCTX()
    for page in pages:
        match page["kind"]:
            case "normal":
                contents = bytes([page["fill"]]) * PAGE
                context.update_normal_pages(page["address"], contents)
            case "save-area":
                context.update_vmsa_page(save_areas[page["save_area"]])
            case "zero":
                context.update_zero_pages(page["address"], PAGE)
            case "unmeasured":
                context.update_unmeasured_pages(page["address"], PAGE)
            case "secrets":
                context.update_secrets_page(page["address"])
            case "cpuid":
                context.update_cpuid_page(page["address"])
            case other:
                raise ValueError(other)
    return context.hex_ld()


def processor(named):
    """The signature, by QEMU's name and by the numbers that it stands for."""
    by_name = CPU_SIGS[named["name"]]
    by_number = cpu_sig(named["family"], named["model"], named["stepping"])
    return by_name if by_name == by_number else None


def identity(said):
    """The ID block, and what the firmware calls the key that signs it."""
    block = id_block.IdBlock(
        launch_digest=id_block.LaunchDigest.from_buffer_copy(
            bytes.fromhex(said["measurement"])
        ),
        ids=bytes.fromhex(said["family"] + said["image"]),
        version=1,
        guest_svn=said["security_version"].to_bytes(4, "little"),
        policy=said["policy"],
    )
    qx, qy = (int(said[name], 16).to_bytes(0x48, "little") for name in "xy")
    key = id_block.ECPublicKey(
        curve=id_block.CurveP384,
        qx=id_block.Qx.from_buffer_copy(qx),
        qy=id_block.Qy.from_buffer_copy(qy),
    )
    return bytes(block).hex(), hashlib.sha384(bytes(key)).hexdigest()


def trust_domain(pages):
    """MRTD: TDH.MEM.PAGE.ADD and TDH.MR.EXTEND for each page, TDH.MR.FINALIZE."""
    measurement = hashlib.sha384()
    for page in pages:
        address = page["address"]
        name = b"MEM.PAGE.ADD"
        measurement.update(
            name + bytes(16 - len(name)) + address.to_bytes(8, "little") + bytes(104)
        )
        if not page["measured"]:
            continue
        name = b"MR.EXTEND"
        for offset in range(0, PAGE, 256):
            measurement.update(
                name
                + bytes(16 - len(name))
                + (address + offset).to_bytes(8, "little")
                + bytes(104)
            )
            # The page's bytes count up from its fill, so that their order matters.
            start = page["fill"] + offset
            measurement.update(bytes((start + index) % 251 for index in range(256)))
    return measurement.hexdigest()


def register(events):
    """RTMR: TDG.MR.RTMR.EXTEND for each event."""
    value = bytes(48)
    for event in events:
        value = hashlib.sha384(value + bytes.fromhex(event)).digest()
    return value.hex()


def main():
    vectors = json.loads(VECTORS.read_text())
    areas = [save_area(start) for start in vectors["save_areas"]]
    checks = [
        (f"save area {index}", hashlib.sha384(area).hexdigest(), start["sha384"])
        for index, (area, start) in enumerate(zip(areas, vectors["save_areas"]))
    ]
    checks += [
        (f"launch {index}", launch(one["pages"], areas), one["digest"])
        for index, one in enumerate(vectors["launches"])
    ]
    checks += [
        (f"processor {one['name']}", processor(one), one["signature"])
        for one in vectors["processors"]
    ]
    checks += [
        (f"identity {index}", identity(one), (one["block"], one["key_digest"]))
        for index, one in enumerate(vectors["identities"])
    ]
    checks += [
        (f"trust domain {index}", trust_domain(one["pages"]), one["digest"])
        for index, one in enumerate(vectors["trust_domains"])
    ]
    checks += [
        (f"register {index}", register(one["events"]), one["value"])
        for index, one in enumerate(vectors["registers"])
    ]
    failed = [check for check in checks if check[1] != check[2]]
    for name, actual, expected in failed:
        print(f"FAILED {name}\n  expected {expected}\n  actual   {actual}")
    print(f"{len(checks) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
