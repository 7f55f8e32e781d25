//! The C library: `cargo xtask install` puts it where C programs look for it, the step `c-library` tries that with
//! pkg-config and CMake, and a row of `cargo xtask ports` runs its example on an emulated Cortex-M3.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::command::Task;
use crate::ports::{Fault, Row};
use crate::{Context, Outcome, tools};

/// Version of the package, as in the workspace's manifest; the first number is the shared library's.
const VERSION: &str = "0.1.0";
const MAJOR: &str = "0";

/// What a program needs besides the static library.
const SYSTEM_LIBRARIES: &str = "-lpthread -ldl -lm";

/// `cargo xtask install`.
pub(crate) fn install(context: &Context, arguments: &[String]) -> Result<(), String> {
    let (mut prefix, mut debug) = (PathBuf::from("/usr/local"), false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--prefix" => prefix = rest.next().map(PathBuf::from).ok_or("--prefix takes a folder")?,
            "--debug" => debug = true,
            other => return Err(format!("`install` does not know `{other}`; see `cargo xtask help`")),
        }
    }
    let prefix = std::path::absolute(&prefix).map_err(|error| format!("{}: {error}", prefix.display()))?;
    put(context, &prefix, debug)
}

fn put(context: &Context, prefix: &Path, debug: bool) -> Result<(), String> {
    let mut build =
        Task::cargo(context).arguments(["build", "--lib", "--package", "casemate-capi"]).locked(context);
    if !debug {
        build = build.arguments(["--release"]);
    }
    build.run()?;
    let built = context.target.join(if debug { "debug" } else { "release" });
    let (library, include) = (prefix.join("lib"), prefix.join("include"));
    let (pkg_config, cmake) = (library.join("pkgconfig"), library.join("cmake/casemate"));
    for folder in [&include, &pkg_config, &cmake] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let shared = format!("libcasemate.so.{VERSION}");
    copy(&context.root.join("crates/capi/include/casemate.h"), &include.join("casemate.h"))?;
    copy(&built.join("libcasemate.a"), &library.join("libcasemate.a"))?;
    copy(&built.join("libcasemate.so"), &library.join(&shared))?;
    link(&shared, &library.join(format!("libcasemate.so.{MAJOR}")))?;
    link(&shared, &library.join("libcasemate.so"))?;
    write(&pkg_config.join("casemate.pc"), &pkg_config_file(prefix))?;
    write(&cmake.join("casemate-config.cmake"), &cmake_file())?;
    write(&cmake.join("casemate-config-version.cmake"), &cmake_version())?;
    println!("installed below {}", prefix.display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    // What is there may be in use, which writing into it would spoil.
    let _ = fs::remove_file(to);
    fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(unix)]
fn link(to: &str, at: &Path) -> Result<(), String> {
    let _ = fs::remove_file(at);
    std::os::unix::fs::symlink(to, at).map_err(|error| format!("{}: {error}", at.display()))
}

#[cfg(not(unix))]
fn link(to: &str, at: &Path) -> Result<(), String> {
    copy(&at.with_file_name(to), at)
}

fn pkg_config_file(prefix: &Path) -> String {
    format!(
        "prefix={}\nincludedir=${{prefix}}/include\nlibdir=${{prefix}}/lib\n\nName: casemate\nDescription: Client of \
         an HSM server\nVersion: {VERSION}\nCflags: -I${{includedir}}\nLibs: -L${{libdir}} -lcasemate\nLibs.private: \
         {SYSTEM_LIBRARIES}\n",
        prefix.display()
    )
}

fn cmake_file() -> String {
    let libraries = SYSTEM_LIBRARIES.replace("-l", "").replace(' ', ";");
    format!(
        r#"# The targets casemate::casemate (shared library) and casemate::casemate_static.
get_filename_component(CASEMATE_PREFIX "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)

if(NOT TARGET casemate::casemate)
    add_library(casemate::casemate SHARED IMPORTED)
    set_target_properties(casemate::casemate PROPERTIES
        IMPORTED_LOCATION "${{CASEMATE_PREFIX}}/lib/libcasemate.so.{VERSION}"
        IMPORTED_SONAME "libcasemate.so.{MAJOR}"
        INTERFACE_INCLUDE_DIRECTORIES "${{CASEMATE_PREFIX}}/include")
    add_library(casemate::casemate_static STATIC IMPORTED)
    set_target_properties(casemate::casemate_static PROPERTIES
        IMPORTED_LOCATION "${{CASEMATE_PREFIX}}/lib/libcasemate.a"
        INTERFACE_INCLUDE_DIRECTORIES "${{CASEMATE_PREFIX}}/include"
        INTERFACE_LINK_LIBRARIES "{libraries}")
endif()
"#
    )
}

/// Versions below 1.0 are compatible with the same minor version.
fn cmake_version() -> String {
    format!(
        r#"set(PACKAGE_VERSION "{VERSION}")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
elseif(PACKAGE_VERSION MATCHES "^${{PACKAGE_FIND_VERSION_MAJOR}}\\.${{PACKAGE_FIND_VERSION_MINOR}}\\.")
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
    if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
else()
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
endif()
"#
    )
}

/// `casemate serve` on a free port of this machine, ended when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(context: &Context) -> Result<Self, String> {
        Task::cargo(context).arguments(["build", "--package", "casemate-cli"]).locked(context).run()?;
        let program = context.target.join("debug/casemate");
        let failed = |error: std::io::Error| format!("{}: {error}", program.display());
        let mut child = Command::new(&program)
            .args(["serve", "--nvm", "ram", "--tcp", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        // It says where it listens; nobody reads what it says later, which is little.
        let mut address = None;
        if let Some(output) = child.stderr.take() {
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
            address = lines
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| Some(line.split_once("listens on ")?.1.trim().to_owned()));
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        }
        let mut server = Self { child, address: String::new() };
        // Without an address the server is dropped here, and thereby ended.
        server.address = address.ok_or("`casemate serve` did not say where it listens")?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The step `c-library`.
pub(crate) fn step(context: &Context, _: &[String]) -> Outcome {
    match try_installed(context) {
        Ok(note) => Outcome::Pass(note),
        Err(Fault::Missing(reason)) => Outcome::Skip(reason),
        Err(Fault::Failed(fault)) => Outcome::Fail(fault),
    }
}

/// Installs the library into the target directory, and builds and runs a program with it as its users would.
fn try_installed(context: &Context) -> Result<String, Fault> {
    tools::programs(
        &["gcc", "g++", "pkg-config", "cmake", "make"],
        &["gcc", "g++", "pkg-config", "cmake", "make"],
    )
    .map_err(Fault::Missing)?;
    let folder = context.target.join("xtask-c-library");
    let _ = fs::remove_dir_all(&folder);
    let prefix = folder.join("prefix");
    put(context, &prefix, true)?;
    let server = Server::start(context)?;
    let address = format!("tcp://{}", server.address);
    let source = context.root.join("crates/capi/examples/hello.c");
    let pkg_config = |arguments: &[&str]| {
        let text = Task::new("pkg-config")
            .arguments(arguments)
            .variable("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .query();
        text.map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .ok_or_else(|| Fault::Failed("pkg-config does not find casemate".to_owned()))
    };

    let shared = folder.join("hello-shared");
    Task::new("gcc")
        .arguments(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arguments([&source])
        .arguments(pkg_config(&["--cflags", "--libs", "casemate"])?)
        .arguments(["-o".as_ref(), shared.as_os_str()])
        .run()?;
    Task::new(&shared)
        .arguments([&address])
        .variable("LD_LIBRARY_PATH", prefix.join("lib"))
        .limit(Duration::from_secs(300))
        .run()?;

    let cpp = folder.join("hello-cpp");
    Task::new("g++")
        .arguments(["-x", "c++", "-std=c++11", "-Wall", "-Wpedantic", "-Werror"])
        .arguments([&source])
        .arguments(pkg_config(&["--cflags", "--libs", "casemate"])?)
        .arguments(["-o".as_ref(), cpp.as_os_str()])
        .run()?;
    Task::new(&cpp)
        .arguments([&address])
        .variable("LD_LIBRARY_PATH", prefix.join("lib"))
        .limit(Duration::from_secs(300))
        .run()?;

    let project = folder.join("project");
    fs::create_dir_all(&project).map_err(|error| format!("{}: {error}", project.display()))?;
    write(
        &project.join("CMakeLists.txt"),
        &format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(hello C)\nfind_package(casemate 0.1 REQUIRED)\n\
             add_executable(hello {0})\ntarget_link_libraries(hello casemate::casemate)\n\
             add_executable(hello_static {0})\ntarget_link_libraries(hello_static casemate::casemate_static)\n",
            source.display()
        ),
    )?;
    Task::new("cmake")
        .directory(&project)
        .arguments(["-S", ".", "-B", "build"])
        .arguments([format!("-DCMAKE_PREFIX_PATH={}", prefix.display())])
        .run()?;
    Task::new("cmake").directory(&project).arguments(["--build", "build"]).run()?;
    for name in ["hello", "hello_static"] {
        let program = project.join("build").join(name);
        Task::new(program).arguments([&address]).limit(Duration::from_secs(300)).run()?;
    }
    Ok("installed; found by pkg-config and CMake; shared and static library run".to_owned())
}

/// The example for a device, on an emulated Cortex-M3 whose serial line is a TCP connection to a server.
pub(crate) fn cortex_m3(context: &Context) -> Result<Row, Fault> {
    tools::programs(&["arm-none-eabi-gcc", "qemu-system-arm"], &["gcc-arm-none-eabi", "qemu-system-arm"])
        .map_err(Fault::Missing)?;
    let compiler = tools::device_compiler(context).map_err(Fault::Missing)?;
    compiler
        .build(context)?
        .arguments(["--release", "--lib", "--package", "casemate-capi", "--no-default-features"])
        .arguments(["--features", "panic-handler"])
        .variable("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
        .locked(context)
        .run()?;
    let library = compiler.artifacts(context).join("release/libcasemate.a");
    let folder = context.target.join("xtask-c-library");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let source = context.root.join("crates/capi/examples/cortex-m3");
    let program = folder.join("cortex-m3.elf");
    Task::new("arm-none-eabi-gcc")
        .directory(&source)
        .arguments(["-std=c99", "-mcpu=cortex-m3", "-mthumb", "-Os", "-ffreestanding", "-nostdlib"])
        .arguments(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffunction-sections", "-fdata-sections"])
        .arguments([
            "-Wl,--gc-sections",
            "-Wl,-z,noexecstack",
            "-I../../include",
            "-Tmemory.ld",
            "board.c",
            "main.c",
        ])
        .arguments([&library])
        .arguments(["-lgcc".as_ref(), "-o".as_ref(), program.as_os_str()])
        .run()?;
    let server = Server::start(context)?;
    let (output, result) = Task::new("qemu-system-arm")
        .arguments([
            "-M",
            "mps2-an385",
            "-display",
            "none",
            "-monitor",
            "none",
            "-chardev",
            "stdio,id=output",
        ])
        .arguments(["-semihosting-config", "enable=on,target=native,chardev=output"])
        .arguments(["-serial", &format!("tcp:{}", server.address), "-kernel"])
        .arguments([&program])
        .limit(Duration::from_secs(300))
        .run_reading_output();
    result?;
    if !output.contains("signed and verified") {
        return Err(Fault::Failed("the program for the Cortex-M3 did not say that it verified".to_owned()));
    }
    let number = |text: &str| text.trim().parse().ok();
    let sizes = Task::new("arm-none-eabi-size").arguments([&program]).query().unwrap_or_default();
    let sizes: Vec<u64> =
        sizes.lines().nth(1).unwrap_or_default().split_whitespace().map_while(number).collect();
    let stack = output.lines().find_map(|line| line.strip_prefix("stack ").and_then(number));
    Ok(Row {
        runs: "a C program on a Cortex-M3 over a serial line, with a server on the host".to_owned(),
        flash: sizes.first().copied(),
        ram: sizes.get(2).copied(),
        stack,
        ..Row::default()
    })
}
