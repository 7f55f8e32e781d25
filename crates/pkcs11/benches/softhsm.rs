//! Signatures per second through PKCS#11, beside SoftHSM 2 in the same run: `cargo bench -p casemate-pkcs11`.
//!
//! Our server runs in a process of its own and is reached over a Unix-domain socket; SoftHSM keeps its keys in the
//! caller's process. Four threads, a session each, `C_SignInit` and `C_Sign` for every signature. Each figure is the best
//! of three runs, as other work on the machine can only slow a run down. SoftHSM is left out where it is not installed.

#![allow(missing_docs, clippy::unwrap_used)]

use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_pkcs11::cryptoki_sys::*;
use casemate_pkcs11::ffi;
use casemate_posix::connection::{ConnectionOptions, Listener};
use casemate_posix::daemon::{self, PosixPlatform};
use casemate_posix::unix::{UnixPolicy, UnixServer};
use casemate_server::{CacheShape, Config, HeapCache, Server};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::ptr::null_mut;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const SOCKET: &str = "CASEMATE_BENCH_SOCKET";
const THREADS: usize = 4;

/// The server's process.
fn serve(socket: &Path) {
    let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0xFF; 1 << 20], 0xFF);
    let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new()).unwrap();
    let config = Config::default();
    let options = ConnectionOptions::new(config.data_length + 8);
    let cache = CacheShape::default();
    let server = Server::new(PosixPlatform::new().unwrap(), config, store, HeapCache::new(cache)).unwrap();
    let listener = UnixServer::bind(socket, UnixPolicy::default(), options).unwrap();
    let listeners: [Box<dyn Listener>; 1] = [Box::new(listener)];
    daemon::serve(&server, &listeners, cache, &AtomicBool::new(false), &|_| {});
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The functions of a module.
#[derive(Clone, Copy)]
struct Module(*mut CK_FUNCTION_LIST);

// SAFETY: a function list is not changed, and its functions may be called from any thread, as C_Initialize is asked for.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

/// Calls a function of the module and demands success.
macro_rules! call {
    ($module:expr, $function:ident, $($argument:expr),*) => {{
        // SAFETY: the function list is valid as long as the module is loaded, which is until the end, and the arguments
        // are what the standard says.
        let outcome = unsafe { ((*$module.0).$function.unwrap())($($argument),*) };
        assert_eq!(outcome, CKR_OK, stringify!($function));
    }};
}

fn attribute<T>(kind: CK_ATTRIBUTE_TYPE, value: &mut T) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_: kind, pValue: (&raw mut *value).cast(), ulValueLen: size_of::<T>() as CK_ULONG }
}

impl Module {
    fn start(self) -> CK_SLOT_ID {
        let mut arguments =
            CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..CK_C_INITIALIZE_ARGS::default() };
        call!(self, C_Initialize, (&raw mut arguments).cast());
        let (mut slots, mut count) = ([0; 8], 8);
        call!(self, C_GetSlotList, CK_TRUE, slots.as_mut_ptr(), &raw mut count);
        slots[0]
    }

    fn session(self, slot: CK_SLOT_ID) -> CK_SESSION_HANDLE {
        let mut session = 0;
        call!(
            self,
            C_OpenSession,
            slot,
            CKF_SERIAL_SESSION | CKF_RW_SESSION,
            null_mut(),
            None,
            &raw mut session
        );
        session
    }

    /// A token key pair; the private key's handle.
    fn pair(self, session: CK_SESSION_HANDLE, kind: CK_MECHANISM_TYPE) -> CK_OBJECT_HANDLE {
        let mut yes = CK_TRUE;
        let mut p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07_u8];
        let mut bits: CK_ULONG = 2048;
        let kind_attribute = match kind {
            CKM_EC_KEY_PAIR_GEN => attribute(CKA_EC_PARAMS, &mut p256),
            _ => attribute(CKA_MODULUS_BITS, &mut bits),
        };
        let mut public = [kind_attribute, attribute(CKA_VERIFY, &mut yes), attribute(CKA_TOKEN, &mut yes)];
        let mut private = [attribute(CKA_SIGN, &mut yes), attribute(CKA_TOKEN, &mut yes)];
        let mut mechanism = CK_MECHANISM { mechanism: kind, ..CK_MECHANISM::default() };
        let (mut public_key, mut private_key) = (0, 0);
        call!(
            self,
            C_GenerateKeyPair,
            session,
            &raw mut mechanism,
            public.as_mut_ptr(),
            3,
            private.as_mut_ptr(),
            2,
            &raw mut public_key,
            &raw mut private_key
        );
        private_key
    }

    fn sign(self, session: CK_SESSION_HANDLE, kind: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE) {
        let mut mechanism = CK_MECHANISM { mechanism: kind, ..CK_MECHANISM::default() };
        let (mut data, mut signature, mut length) = ([7_u8; 32], [0_u8; 512], 512);
        call!(self, C_SignInit, session, &raw mut mechanism, key);
        call!(self, C_Sign, session, data.as_mut_ptr(), 32, signature.as_mut_ptr(), &raw mut length);
    }

    /// Signatures per second with all threads.
    fn rate(self, slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE, time: Duration) -> f64 {
        let (begin, stop) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let session = self.session(slot);
                        self.sign(session, kind, key);
                        begin.wait();
                        let mut count = 0_u32;
                        while !stop.load(Ordering::Relaxed) {
                            self.sign(session, kind, key);
                            count += 1;
                        }
                        call!(self, C_CloseSession, session);
                        count
                    })
                })
                .collect();
            begin.wait();
            let began = Instant::now();
            thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
            let elapsed = began.elapsed().as_secs_f64();
            let count: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            f64::from(count) / elapsed
        })
    }
}

const KINDS: [(&str, CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 2] = [
    ("ECDSA P-256", CKM_EC_KEY_PAIR_GEN, CKM_ECDSA),
    ("RSA-2048 PKCS#1", CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_SHA256_RSA_PKCS),
];

/// Prepares a module: its slot, and its keys.
fn prepare(module: Module, log_in: bool) -> (CK_SLOT_ID, [CK_OBJECT_HANDLE; 2]) {
    let slot = module.start();
    let session = module.session(slot);
    if log_in {
        call!(module, C_Login, session, CKU_USER, b"1234".as_ptr().cast_mut(), 4);
    }
    (slot, KINDS.map(|(_, pair, _)| module.pair(session, pair)))
}

fn softhsm(folder: &Path) -> Option<Module> {
    let tokens = folder.join("tokens");
    fs::create_dir_all(&tokens).unwrap();
    let configuration = folder.join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var("SOFTHSM2_CONF", &configuration) };
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "bench", "--pin", "1234", "--so-pin", "1234"])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return None;
    }
    // SAFETY: a PKCS#11 module has nothing to run when it is loaded.
    let library = unsafe { libloading::Library::new(SOFTHSM) }.ok()?;
    // SAFETY: the function has this type in every PKCS#11 module.
    let function = unsafe {
        library.get::<unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV>(b"C_GetFunctionList")
    };
    let mut list = null_mut();
    // SAFETY: as above.
    assert_eq!(unsafe { function.unwrap()(&raw mut list) }, CKR_OK);
    std::mem::forget(library);
    Some(Module(list))
}

fn main() {
    if let Some(socket) = env::var_os(SOCKET) {
        return serve(&PathBuf::from(socket));
    }
    let smoke = env::args().any(|argument| argument == "--test");
    let (runs, time) = if smoke { (1, Duration::from_millis(20)) } else { (3, Duration::from_secs(3)) };
    let folder = env::temp_dir().join(format!("casemate-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("hsm.sock");
    let child = Command::new(env::current_exe().unwrap()).env(SOCKET, &socket).spawn().unwrap();
    let server = Ended(child);
    while !socket.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var("CASEMATE_SERVER", format!("unix://{}", socket.display())) };
    let soft = softhsm(&folder);

    let mut list = null_mut();
    // SAFETY: the pointer leads to a local.
    assert_eq!(unsafe { ffi::C_GetFunctionList(&raw mut list) }, CKR_OK);
    let ours = Module(list);
    let (slot, keys) = prepare(ours, false);
    let theirs = soft.map(|module| (module, prepare(module, true)));
    println!("{THREADS} threads, signatures per second:");
    for (index, (name, _, mechanism)) in KINDS.into_iter().enumerate() {
        let best = |module: Module, slot, key| {
            (0..runs).map(|_| module.rate(slot, mechanism, key, time)).fold(0.0, f64::max)
        };
        let own = best(ours, slot, keys[index]);
        match &theirs {
            Some((module, (slot, keys))) => {
                let other = best(*module, *slot, keys[index]);
                println!("{name:16} casemate {own:9.0}   SoftHSM {other:9.0}   ratio {:.2}", own / other);
            }
            None => println!("{name:16} casemate {own:9.0}   (SoftHSM 2 is not installed)"),
        }
    }
    drop(server);
    let _ = fs::remove_dir_all(&folder);
}
