"""Build of `fastloss._kernels`: the kernels once per instruction set, then the Cython module.

Everything that does not need code stands in pyproject.toml. Environment variables:

CC, CFLAGS, LDFLAGS     the compiler and more flags, as for any Python extension (on Windows CC alone, default clang-cl)
FASTLOSS_NO_OPENMP=1    build without OpenMP: every call runs on one thread
FASTLOSS_WERROR=1       warnings in csrc/ are errors
FASTLOSS_ISAS           only these instruction sets, e.g. "x86_v3": for quick builds that never leave the machine
FASTLOSS_EXTRA_FLAGS    more flags, for compiling and linking, after all others (sanitizers); keeps symbols
"""

import os
import re
import shlex
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, ExecError, LinkError
from setuptools.modified import newer_group

# Exactly the features that csrc/dispatch.c asks the processor for. Not `-march=x86-64-v3`: it holds more (lzcnt, for
# one, is a different instruction where it is missing, not an illegal one), and needs GCC 11 or Clang 12.
X86_V3 = "-mavx2 -mfma -mf16c -mbmi -mbmi2".split()
X86_V4 = "-mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512".split()

# Instruction sets and their flags by target machine; a machine not listed gets "baseline" alone.
ISAS = {
    "x86_64": {"baseline": [], "x86_v3": X86_V3, "x86_v4": X86_V3 + X86_V4},
    "aarch64": {"neon": []},
}
MACHINE_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
REAL_BITS = (32, 64)

# -fno-trapping-math lets loops with comparisons vectorise and changes no value. -ffp-contract=off keeps the bits the
# same on every instruction set. -fwrapv, because integers of lanes that do not count may overflow. -fno-builtin-gamma,
# because gamma is a loss here. -fno-lto, because link-time optimisation merges objects that are compiled for different
# instruction sets. -g0 leaves no build path in the binary.
FLAGS = (
    "-O3 -std=gnu11 -fPIC -fopenmp-simd -fvisibility=hidden -fno-math-errno -fno-trapping-math"
    " -ffp-contract=off -fwrapv -fno-builtin-gamma -fno-lto -g0"
).split()
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion"]

# Flags that would make nan and inf go wrong, and denormals vanish in the whole process.
FORBIDDEN = re.compile(r"-Ofast|/fp:fast|-f(fast|finite|unsafe)-math\S*")


def absolute_readme():
    """The README as an index of packages shows it, where links and pictures of the checkout lead nowhere.

    Pages of the documentation are those that were built, with their pictures and formulas.
    """
    project, text = (Path(file).read_text(encoding="utf-8") for file in ("pyproject.toml", "README.md"))
    documentation, repository = (
        re.search(rf'^{name} = "(.*)"$', project, re.MULTILINE)[1] for name in ("Documentation", "Repository")
    )
    raw = repository.replace("//github.com/", "//raw.githubusercontent.com/")
    text = re.sub(r"\]\(docs/(\w+)\.md\)", rf"]({documentation}/\g<1>.html)", text)
    text = text.replace("](examples)", f"]({documentation}/generated/gallery/index.html)")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\g<1>{raw}/main/", text)
    return re.sub(r"(?<!\!)(\[[^]]*\]\()(?!https?:|#)(?=[\w./-]+\))", rf"\g<1>{repository}/blob/main/", text)


def stop(*lines):
    """End the build with a message that stands out from pip's output."""
    width = max(map(len, lines))
    edge = "+" + "-" * (width + 2) + "+"
    raise SystemExit("\n".join(["", edge, *(f"| {line:{width}} |" for line in lines), edge]))


def switched_on(variable):
    return os.environ.get(variable, "0").lower() not in ("", "0", "false", "no", "off")


class BuildKernels(build_ext):
    """`build_ext` that compiles kernels.c for each instruction set and real type, in parallel."""

    def build_extension(self, ext):
        import numpy
        from Cython.Build import cythonize

        self.on_windows = self.compiler.compiler_type == "msvc"
        if self.on_windows:
            self.use_clang_cl()
        machine = self.plat_name.rpartition("-")[2].lower()
        isas = ISAS.get(MACHINE_ALIASES.get(machine, machine), {"baseline": []})
        if only := os.environ.get("FASTLOSS_ISAS", "").split():
            isas = {isa: isas[isa] for isa in only}
        extra = shlex.split(os.environ.get("FASTLOSS_EXTRA_FLAGS", ""))
        # Not on Windows: LLVM's runtime ends the process that holds Intel's, as torch's and MKL's users do, too.
        openmp = [] if switched_on("FASTLOSS_NO_OPENMP") or self.on_windows else ["-fopenmp"]
        self.check_flags()
        self.check_tools(isas, openmp)

        warnings = WARNINGS + ["-Werror"] * switched_on("FASTLOSS_WERROR")
        ext.define_macros += [("FL_WITH_OPENMP", str(len(openmp)))]
        ext.define_macros += [(f"FL_HAVE_{isa}", "1") for isa in isas]
        # The driver's own loops are short: a sixth smaller than with -O3, it is as fast.
        ext.extra_compile_args = self.spelled(FLAGS + ["-O2"] + openmp) + extra
        ext.extra_link_args = openmp + extra
        if sys.platform.startswith("linux"):
            # dlsym and pthread_atfork are not in libc itself before glibc 2.34.
            ext.extra_link_args += ["-pthread", "-ldl"] + ["-s"] * (not extra)

        # pip builds in build/, and a second build must not reuse what other settings left there.
        settings = Path(self.build_temp, "settings.txt")
        settings_now = repr((numpy.__version__, self.compiler_command(), warnings, isas, vars(ext)))
        if not settings.exists() or settings.read_text() != settings_now:
            settings.parent.mkdir(parents=True, exist_ok=True)
            settings.write_text(settings_now)
        inputs = [*ext.sources, *ext.depends, str(settings)]
        if not newer_group(inputs, self.get_ext_fullpath(ext.name), "newer"):
            return

        jobs = [
            ("kernels", f"{isa}-{bits}", [("FL_ISA", isa), ("FL_REAL", str(bits))], flags)
            for isa, flags in isas.items()
            for bits in REAL_BITS
        ]
        jobs += [(name, "common", [], []) for name in ("dispatch", "runtime")]

        def compile_one(job):
            name, folder, macros, isa_flags = job
            return self.compiler.compile(
                [f"csrc/{name}.c"],
                output_dir=os.path.join(self.build_temp, folder),
                macros=ext.define_macros + macros,
                include_dirs=["csrc"],
                extra_postargs=self.spelled(FLAGS + warnings + isa_flags) + extra,
            )

        include_dirs = ["csrc", "fastloss/include", numpy.get_include()]
        with ThreadPoolExecutor(self.parallel or os.cpu_count()) as pool:
            compiled = [pool.submit(compile_one, job) for job in jobs]
            # Cython translates beside the compiler, which then finds one more file to take in turn.
            lines = bool(self.cython_line_directives)  # for coverage
            (module,) = cythonize(
                [ext],
                build_dir=self.build_temp,
                include_path=include_dirs,
                emit_linenums=lines,
                force=True,
                quiet=True,
            )
            options = {"macros": ext.define_macros, "include_dirs": include_dirs}
            options["extra_postargs"] = ext.extra_compile_args
            compiled.append(pool.submit(self.compiler.compile, module.sources, self.build_temp, **options))
            ext.extra_objects += [file for objects in compiled for file in objects.result()]
        ext.sources, ext.depends = [], []
        self.force = True
        super().build_extension(ext)

    def use_clang_cl(self):
        """Windows: keep what setuptools knows of Visual Studio, but compile with clang-cl, which has vector types."""
        if not self.compiler.initialized:
            self.compiler.initialize(self.plat_name)
        name = os.environ.get("CC", "clang-cl")
        self.compiler.cc = shutil.which(name)
        if not self.compiler.cc or "clang-cl" not in name.lower():
            stop(
                f'fastloss needs clang-cl on Windows, and "{name}" is not there, or something else.',
                'Visual Studio Installer: "C++ Clang tools for Windows", or  winget install LLVM.LLVM',
            )

    def compiler_command(self):
        return [self.compiler.cc] if self.on_windows else self.compiler.compiler_so

    def spelled(self, flags):
        """GCC's flags as the compiler takes them: clang-cl behind a prefix; and all code on Windows can be moved."""
        return [f"/clang:{flag}" for flag in flags if flag != "-fPIC"] if self.on_windows else flags

    def check_flags(self):
        """Refuse flags under which the results would be wrong."""
        for variable in ("CFLAGS", "LDFLAGS", "FASTLOSS_EXTRA_FLAGS"):
            if found := FORBIDDEN.search(os.environ.get(variable, "")):
                stop(f"fastloss cannot be built with {found[0]}: take it out of {variable}.")

    def check_tools(self, isas, openmp):
        """Try what the build needs, and say what to install where something is missing."""
        compiler = self.compiler_command()[0]
        if not self.can_build("int main(void) { return 0; }"):
            stop(
                f'fastloss needs a C compiler, and "{compiler}" does not work here.',
                "Debian, Ubuntu:  apt-get install build-essential",
                "Fedora, RHEL:    dnf install gcc",
                "macOS:           xcode-select --install",
                "Windows:         Visual Studio with C++ and Clang",
                "or name one:     CC=clang pip install ...",
            )
        if not self.can_build("#include <Python.h>\nint main(void) { return 0; }"):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            stop(
                f"fastloss needs the C headers of Python {version} (Python.h), and they are not in",
                sysconfig.get_path("include"),
                f"Debian, Ubuntu:  apt-get install python3-dev   (or python{version}-dev)",
                f"Fedora, RHEL:    dnf install python3-devel     (or python{version}-devel)",
            )
        if openmp and not self.can_build(
            "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 0; }", openmp
        ):
            stop(
                f'fastloss needs OpenMP, and "{compiler} {openmp[0]}" does not work here.',
                "GCC on Debian, Ubuntu:    apt-get install build-essential",
                "GCC on Fedora, RHEL:      dnf install gcc libgomp",
                "Clang on Debian, Ubuntu:  apt-get install libomp-dev",
                "or without threads:       FASTLOSS_NO_OPENMP=1 pip install ...",
            )
        for isa, flags in isas.items():
            if not self.can_build("int main(void) { return 0; }", FLAGS + flags):
                stop(
                    f'fastloss needs GCC 8 or Clang 7 or newer; "{compiler}" does not know the flags of {isa}.',
                    "Another compiler:  CC=gcc-12 pip install ...",
                )

    def can_build(self, program, flags=()):
        """Whether `program` compiles and links."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program + "\n")
            try:
                objects = self.compiler.compile(
                    [str(source)],
                    output_dir=folder,
                    include_dirs=self.include_dirs,
                    extra_postargs=self.spelled(list(flags)),
                )
                link_flags = [] if self.on_windows else list(flags)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=link_flags)
            except (CompileError, ExecError, LinkError):
                return False
        return True


setup(
    long_description=absolute_readme(),
    long_description_content_type="text/markdown",
    ext_modules=[
        Extension(
            "fastloss._kernels",
            ["fastloss/_kernels.pyx"],
            depends=[
                *("setup.py", "csrc/losses.def", *sorted(map(str, Path("csrc").rglob("*.[ch]")))),
                *sorted(map(str, Path("fastloss/include").iterdir())),
            ],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        )
    ],
    cmdclass={"build_ext": BuildKernels},
)
