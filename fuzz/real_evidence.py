#!/usr/bin/env python3
"""Evidence of real processors for fuzz targets to start from, as tests have it: in ENARX_VECTORS,
else in shared/vectors beside the workspace. Each of its cases becomes one input, in corpus/."""

import base64
import json
import os
import pathlib
import re

HERE = pathlib.Path(__file__).parent
VECTORS = pathlib.Path(os.environ.get("ENARX_VECTORS") or HERE / "../../shared/vectors")
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", re.DOTALL)


def certificates(file):
    """The certificates of a file, in DER."""
    return [base64.b64decode(found) for found in PEM.findall(file)] or [file]


def write(target, case, files):
    """An input of several files, as fuzz_targets/parts.rs takes it apart."""
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    parts = [len(file).to_bytes(2, "little") + file for file in files if len(file) < 1 << 16]
    (directory / f"real-{case['id']}").write_bytes(b"".join(parts))


def main():
    if not (VECTORS / "cases.json").is_file():
        print(f"fuzz: no evidence of real processors in {VECTORS}; set ENARX_VECTORS")
        return
    for case in json.loads((VECTORS / "cases.json").read_text())["cases"]:
        names = [name for name in case["files"].values() if isinstance(name, str)]
        files = {name: (VECTORS / name).read_bytes() for name in names}
        write("materials", case, files.values())

        def file(role):
            return files.get(case["files"].get(role), b"")

        if case["tech"] in ("sgx", "tdx"):
            chain = [certificates(file(role))[0] for role in ("tcb_signing_cert", "root")]
            documents = [file("quote"), file("tcb_info"), file("qe_identity")]
            write("dcap_quote", case, [*documents, *chain, file("pck_crl"), file("root_crl")])
        if case["tech"] == "snp":
            key, authorities = certificates(file("vek"))[0], certificates(file("cas"))
            write("snp_report", case, [file("report"), key, *authorities[:2]])


main()
