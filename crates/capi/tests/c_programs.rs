//! The C programs of `examples` and `tests/c`: compiled with warnings as errors and with gcc's sanitizers, linked with the
//! library, and run against a server in this process.

use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_posix::connection::{ConnectionOptions, Listener};
use casemate_posix::daemon::{self, PosixPlatform};
use casemate_posix::shm::ShmServer;
use casemate_posix::tcp::TcpServer;
use casemate_posix::unix::{UnixPolicy, UnixServer};
use casemate_protocol::{ClientId, Flags, Header, Label, Metadata, ObjectId, ObjectType};
use casemate_server::{CacheShape, Config, HeapCache, Server};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// What a strict program is compiled with.
const WARNINGS: &[&str] =
    &["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the static and the shared library, which cargo makes for tests only by the way.
fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "casemate-capi", "--lib"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // target/debug/deps/this-program
        let program = std::env::current_exe().unwrap();
        program.parent().and_then(Path::parent).unwrap().to_owned()
    })
}

/// Compiles a program, and links it with the static library or the shared one.
fn compile(compiler: &str, source: &Path, output: &Path, arguments: &[&str], shared: bool) {
    let folder = libraries();
    let place = output.parent().unwrap();
    let mut command = Command::new(compiler);
    command.args(arguments).arg("-g").arg("-I").arg(root().join("include")).arg(source).arg("-o").arg(output);
    if shared {
        // Under the name that it gives itself, and the one that the linker looks for.
        for name in ["libcasemate.so", "libcasemate.so.0"] {
            std::fs::copy(folder.join("libcasemate.so"), place.join(name)).unwrap();
        }
        command.arg("-L").arg(place).arg("-lcasemate").arg(format!("-Wl,-rpath,{}", place.display()));
    } else {
        command.arg(folder.join("libcasemate.a")).args(["-lpthread", "-ldl", "-lm"]);
    }
    let result = command.output().unwrap();
    let said = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{compiler} {}: {said}", source.display());
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {said}", program.display(), output.status);
    assert!(said.is_empty(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

const SANITIZERS: &[&str] = &["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// A server with an empty store in RAM, which listens until dropped.
struct Running {
    folder: tempfile::TempDir,
    tcp: String,
    unix: String,
    shm: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(name: &str) -> Self {
        let config = Config::default();
        let options = || ConnectionOptions::new(config.data_length + Header::SIZE);
        let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0; 1 << 20], 0);
        let mut store =
            FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 40], FlashOptions::new()).unwrap();
        // A key that wraps other keys, for client 6.
        let id = ObjectId::new(ObjectType::CRYPTO, ClientId::new(6).unwrap(), 250);
        let flags = Flags::TRUSTED | Flags::USAGE_WRAP | Flags::NONEXPORTABLE | Flags::NONMODIFIABLE;
        let metadata =
            Metadata { id, access: Metadata::ACCESS_ANY, flags, length: 0, label: Label::from("trusted") };
        casemate_nvm::ObjectStore::add_with_reclaim(&mut store, &metadata, &[7; 32]).unwrap();
        let cache = CacheShape::default();
        let platform = PosixPlatform::new().unwrap();
        let server = Server::new(platform, config.clone(), store, HeapCache::new(cache)).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpServer::bind("127.0.0.1:0", options()).unwrap();
        let socket = folder.path().join("socket");
        let unix = UnixServer::bind(&socket, UnixPolicy::default(), options()).unwrap();
        let object = format!("casemate-capi-{name}-{}", std::process::id());
        let shm = ShmServer::bind(&object, 65536, options()).unwrap();
        let address = tcp.local_address().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let listeners: Vec<Box<dyn Listener>> = vec![Box::new(tcp), Box::new(unix), Box::new(shm)];
            daemon::serve(&server, &listeners, cache, &stopped, &|_| {});
        });
        Self {
            tcp: format!("tcp://{address}"),
            unix: format!("unix://{}", socket.display()),
            shm: format!("shm://{object}"),
            folder,
            stop,
            thread: Some(thread),
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn every_call_does_what_it_says() {
    let server = Running::start("calls");
    let program = server.program("calls");
    compile("gcc", &root().join("tests/c/calls.c"), &program, &[SANITIZERS, WARNINGS].concat(), false);
    let said = run(&program, &[&server.tcp]);
    assert!(said.ends_with(" checks\n"), "{said}");
}

#[test]
fn every_call_does_what_it_says_in_shared_memory() {
    let server = Running::start("shared");
    let program = server.program("calls");
    compile("gcc", &root().join("tests/c/calls.c"), &program, &[SANITIZERS, WARNINGS].concat(), false);
    let said = run(&program, &[&server.shm, "shared"]);
    assert!(said.ends_with(" checks\n"), "{said}");
}

#[test]
fn what_a_caller_gets_wrong_is_a_status() {
    let server = Running::start("misuse");
    let program = server.program("misuse");
    compile("gcc", &root().join("tests/c/misuse.c"), &program, &[SANITIZERS, WARNINGS].concat(), false);
    let said = run(&program, &[&server.tcp]);
    assert!(said.ends_with(" checks\n"), "{said}");
}

#[test]
fn the_examples_run() {
    let server = Running::start("examples");
    let (host, port) = server.tcp.trim_start_matches("tcp://").split_once(':').unwrap();
    for (name, arguments, expected) in [
        (
            "hello",
            vec![server.tcp.as_str()],
            "Keys here can be used, and never leave.\nsigned and verified\n",
        ),
        ("own_transport", vec![host, port], "over our own line: 42, "),
        (
            "event_loop",
            vec![server.tcp.as_str()],
            "20 rounds with each of two clients, none of which waited\n",
        ),
    ] {
        let program = server.program(name);
        let source = root().join(format!("examples/{name}.c"));
        compile("gcc", &source, &program, &[SANITIZERS, WARNINGS].concat(), false);
        let said = run(&program, &arguments);
        assert!(said.starts_with(expected), "{name}: {said}");
    }
}

/// C99 and C++, and the shared library.
#[test]
fn the_shared_library_serves_c_and_cpp() {
    let server = Running::start("cpp");
    let source = root().join("examples/hello.c");
    let program = server.program("hello-shared");
    compile("gcc", &source, &program, &[&["-std=c99"], WARNINGS].concat(), true);
    run(&program, &[&server.unix]);
    if Command::new("g++").arg("--version").output().is_err() {
        // `cargo xtask c-library` installs it, and tries C++ too.
        println!("there is no g++ here: C++ was not tried");
        return;
    }
    let warnings: Vec<&str> =
        WARNINGS.iter().copied().filter(|flag| *flag != "-Wstrict-prototypes").collect();
    for standard in ["-std=c++11", "-std=c++20"] {
        let program = server.program("hello-cpp");
        // `= { 0 }` leaves the other members to C++'s own zero; g++ warns where C's meaning is the same.
        let arguments = [&["-x", "c++", standard, "-Wno-missing-field-initializers"][..], &warnings].concat();
        compile_cpp(&source, &program, &arguments);
        run(&program, &[&server.unix]);
    }
}

fn compile_cpp(source: &Path, output: &Path, arguments: &[&str]) {
    // `-x c++` holds for what follows it, so the library comes behind `-x none`: as the shared one it does.
    compile("g++", source, output, arguments, true);
}

/// A function in the header that no program here calls would be tested by nothing.
#[test]
fn no_function_of_the_header_is_without_a_test() {
    let header = std::fs::read_to_string(root().join("include/casemate.h")).unwrap();
    let mut programs = String::new();
    for folder in ["examples", "tests/c"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "c") {
                programs.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let names: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("casemate_"))
        .collect();
    assert!(names.len() > 140, "{}", names.len());
    let missing: Vec<&&str> = names.iter().filter(|name| !programs.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
