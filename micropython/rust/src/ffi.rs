//! The C interface, declared for C in `micropython/casemate/src/casemate.h`: the only module with unsafe code.
//!
//! Functions return 0 or a negative [`Error::code`]. Every pointer comes with a length and is used during the call only.
//! A null pointer is allowed where the length is 0.

use crate::{Error, cipher, hash};
use casemate_crypto::Direction;

/// A shared view of C's bytes.
///
/// # Safety
/// `data` points to `length` readable bytes that nobody writes during the call, unless `length` is 0.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if data.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: not null, and readable for `length` bytes by the caller's promise; MicroPython's objects are smaller than
    // half the address space.
    unsafe { core::slice::from_raw_parts(data, length) }
}

/// A view of C's bytes to write to.
///
/// # Safety
/// `data` points to `length` bytes that nobody else reads or writes during the call, unless `length` is 0.
unsafe fn bytes_mut<'a>(data: *mut u8, length: usize) -> &'a mut [u8] {
    if data.is_null() || length == 0 {
        return &mut [];
    }
    // SAFETY: as for `bytes`, and exclusive by the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(data, length) }
}

fn code(result: Result<(), Error>) -> i32 {
    result.map_or_else(Error::code, |()| 0)
}

fn direction(decrypt: bool) -> Direction {
    if decrypt { Direction::Decrypt } else { Direction::Encrypt }
}

/// Size of the state of a hash in bytes, 0 if this build does not have it.
#[unsafe(no_mangle)]
pub extern "C" fn casemate_hash_state_size(number: u8) -> usize {
    hash::state_size(number).unwrap_or(0)
}

/// [`hash::start`].
///
/// # Safety
/// `state` points to `size` bytes that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hash_start(state: *mut u8, size: usize, number: u8) -> i32 {
    // SAFETY: the caller's promise is the one that `bytes_mut` asks for.
    code(hash::start(unsafe { bytes_mut(state, size) }, number))
}

/// [`hash::update`].
///
/// # Safety
/// `state` points to `size` bytes that nobody else uses during the call, `data` to `length` readable bytes elsewhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hash_update(
    state: *mut u8,
    size: usize,
    data: *const u8,
    length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers both views, which do not overlap.
    code(unsafe { hash::update(bytes_mut(state, size), bytes(data, length)) })
}

/// [`hash::finish`].
///
/// # Safety
/// `state` points to `size` bytes and `digest` to `length` bytes elsewhere, which nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hash_finish(
    state: *mut u8,
    size: usize,
    digest: *mut u8,
    length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers both views, which do not overlap.
    code(unsafe { hash::finish(bytes_mut(state, size), bytes_mut(digest, length)) })
}

/// [`hash::check_open`].
///
/// # Safety
/// As for [`casemate_hash_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hash_check_open(state: *mut u8, size: usize) -> i32 {
    // SAFETY: the caller's promise is the one that `bytes_mut` asks for.
    code(hash::check_open(unsafe { bytes_mut(state, size) }))
}

/// [`cipher::start`]; a null `iv` means none.
///
/// # Safety
/// `state` points to [`cipher::STATE_SIZE`] bytes that nobody else uses during the call; `key` and `iv` to as many readable
/// bytes as their lengths say, elsewhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_aes_start(
    state: *mut u8,
    mode: u8,
    key: *const u8,
    key_length: usize,
    iv: *const u8,
    iv_length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers the three views, which do not overlap.
    code(unsafe {
        let iv = if iv.is_null() { None } else { Some(bytes(iv, iv_length)) };
        cipher::start(bytes_mut(state, cipher::STATE_SIZE), mode, bytes(key, key_length), iv)
    })
}

/// [`cipher::set_direction`].
///
/// # Safety
/// `state` points to [`cipher::STATE_SIZE`] bytes that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_aes_set_direction(state: *mut u8, decrypt: bool) -> i32 {
    // SAFETY: the caller's promise is the one that `bytes_mut` asks for.
    code(cipher::set_direction(unsafe { bytes_mut(state, cipher::STATE_SIZE) }, direction(decrypt)))
}

/// [`cipher::run`].
///
/// # Safety
/// `state` points to [`cipher::STATE_SIZE`] bytes and `data` to `length` bytes elsewhere, which nobody else uses during the
/// call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_aes_run(state: *mut u8, data: *mut u8, length: usize) -> i32 {
    // SAFETY: the caller's promise covers both views, which do not overlap.
    code(unsafe { cipher::run(bytes_mut(state, cipher::STATE_SIZE), bytes_mut(data, length)) })
}

/// Bytes of C with their length.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    data: *const u8,
    length: usize,
}

#[cfg(any(feature = "aead", feature = "mac", feature = "hsm"))]
impl Bytes {
    /// # Safety
    /// As for [`bytes`].
    unsafe fn view<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise is the one that `bytes` asks for.
        unsafe { bytes(self.data, self.length) }
    }
}

/// Encrypts with GCM (`ccm` false) or CCM; [`cipher::seal`].
///
/// # Safety
/// `data` points to `length` bytes and `tag` to `tag_length` bytes that nobody else uses during the call; the other views
/// are readable and elsewhere.
#[cfg(feature = "aead")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_aead_seal(
    ccm: bool,
    key: Bytes,
    nonce: Bytes,
    aad: Bytes,
    data: *mut u8,
    length: usize,
    tag: *mut u8,
    tag_length: usize,
) -> i32 {
    let mode = if ccm { cipher::AeadMode::Ccm } else { cipher::AeadMode::Gcm };
    // SAFETY: the caller's promise covers every view; the two that are written do not overlap any other.
    code(unsafe {
        let (data, tag) = (bytes_mut(data, length), bytes_mut(tag, tag_length));
        cipher::seal(mode, key.view(), nonce.view(), aad.view(), data, tag)
    })
}

/// Verifies and decrypts with GCM (`ccm` false) or CCM; [`cipher::open`].
///
/// # Safety
/// `data` points to `length` bytes that nobody else uses during the call; the other views are readable and elsewhere.
#[cfg(feature = "aead")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_aead_open(
    ccm: bool,
    key: Bytes,
    nonce: Bytes,
    aad: Bytes,
    data: *mut u8,
    length: usize,
    tag: Bytes,
) -> i32 {
    let mode = if ccm { cipher::AeadMode::Ccm } else { cipher::AeadMode::Gcm };
    // SAFETY: the caller's promise covers every view; the one that is written does not overlap any other.
    code(unsafe {
        cipher::open(mode, key.view(), nonce.view(), aad.view(), bytes_mut(data, length), tag.view())
    })
}

/// [`crate::mac::hmac`].
///
/// # Safety
/// `output` points to `length` bytes that nobody else uses during the call; the other views are readable and elsewhere.
#[cfg(feature = "mac")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hmac(
    number: u8,
    key: Bytes,
    data: Bytes,
    output: *mut u8,
    length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers every view.
    code(unsafe { crate::mac::hmac(number, key.view(), data.view(), bytes_mut(output, length)) })
}

/// [`crate::mac::cmac`].
///
/// # Safety
/// As for [`casemate_hmac`].
#[cfg(feature = "mac")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_cmac(key: Bytes, data: Bytes, output: *mut u8, length: usize) -> i32 {
    // SAFETY: the caller's promise covers every view.
    code(unsafe { crate::mac::cmac(key.view(), data.view(), bytes_mut(output, length)) })
}

/// [`crate::mac::hkdf`].
///
/// # Safety
/// As for [`casemate_hmac`].
#[cfg(feature = "mac")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_hkdf(
    number: u8,
    key: Bytes,
    salt: Bytes,
    info: Bytes,
    output: *mut u8,
    length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers every view.
    code(unsafe { crate::mac::hkdf(number, key.view(), salt.view(), info.view(), bytes_mut(output, length)) })
}

/// [`crate::mac::pbkdf2`].
///
/// # Safety
/// As for [`casemate_hmac`].
#[cfg(feature = "mac")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casemate_pbkdf2(
    number: u8,
    password: Bytes,
    salt: Bytes,
    iterations: u32,
    output: *mut u8,
    length: usize,
) -> i32 {
    // SAFETY: the caller's promise covers every view.
    code(unsafe {
        crate::mac::pbkdf2(number, password.view(), salt.view(), iterations, bytes_mut(output, length))
    })
}

/// Random bytes from the port.
#[cfg(feature = "firmware")]
pub(crate) fn random(output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
    // SAFETY: the pointer and the length are those of one slice, which is exclusively ours.
    let answer = unsafe { port::casemate_port_random(output.as_mut_ptr(), output.len()) };
    if answer == 0 { Ok(()) } else { Err(casemate_crypto::Error::Entropy) }
}

/// Random bytes from the operating system, where this crate is tested by itself.
#[cfg(not(feature = "firmware"))]
pub(crate) fn random(output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(output))
        .map_err(|_| casemate_crypto::Error::Entropy)
}

/// Whether the AES processor is used.
#[cfg(feature = "stm32_crypto")]
#[unsafe(no_mangle)]
pub extern "C" fn casemate_aes_in_hardware() -> bool {
    crate::aes_processor::AES.is_usable()
}

/// Whether the hash processor is used for an algorithm.
#[cfg(feature = "stm32_hash")]
#[unsafe(no_mangle)]
pub extern "C" fn casemate_hash_in_hardware(number: u8) -> bool {
    hash::by_number(number).is_ok_and(|algorithm| hash::processor::HASHES.is_usable(algorithm))
}

/// The registers of a processor that the port names; where this crate runs by itself, of one that does not answer.
#[cfg(any(feature = "stm32_crypto", feature = "stm32_hash"))]
macro_rules! processor {
    ($name:ident, $address:ident, $on:ident) => {
        #[derive(Debug)]
        pub(crate) struct $name;

        impl casemate_crypto_stm32::Registers for $name {
            fn read(&self, register: casemate_crypto_stm32::Register) -> u32 {
                #[cfg(feature = "firmware")]
                // SAFETY: the port's promise is the one that `Mapped::new` asks for; its constant is never written.
                return unsafe { casemate_crypto_stm32::Mapped::new(port::$address) }.read(register);
                #[cfg(not(feature = "firmware"))]
                {
                    let _ = register;
                    0
                }
            }

            fn write(&self, register: casemate_crypto_stm32::Register, value: u32) {
                #[cfg(feature = "firmware")]
                // SAFETY: as for `read`.
                unsafe { casemate_crypto_stm32::Mapped::new(port::$address) }.write(register, value);
                #[cfg(not(feature = "firmware"))]
                let _ = (register, value);
            }

            fn enable(&self) {
                #[cfg(feature = "firmware")]
                // SAFETY: the function has no conditions.
                unsafe {
                    port::$on();
                }
            }
        }
    };
}

#[cfg(feature = "stm32_crypto")]
processor!(AesRegisters, casemate_port_aes, casemate_port_aes_on);
#[cfg(feature = "stm32_hash")]
processor!(HashRegisters, casemate_port_hash, casemate_port_hash_on);

/// What the port supplies.
#[cfg(feature = "firmware")]
mod port {
    unsafe extern "C" {
        /// Address of the AES processor, which nothing else uses.
        #[cfg(feature = "stm32_crypto")]
        pub(super) static casemate_port_aes: usize;
        /// Switches its clock on.
        #[cfg(feature = "stm32_crypto")]
        pub(super) fn casemate_port_aes_on();
        /// Address of the hash processor HASH, which nothing else uses.
        #[cfg(feature = "stm32_hash")]
        pub(super) static casemate_port_hash: usize;
        /// Switches its clock on.
        #[cfg(feature = "stm32_hash")]
        pub(super) fn casemate_port_hash_on();
        /// Fills `output` with random bytes; 0 if it did.
        pub(super) fn casemate_port_random(output: *mut u8, length: usize) -> i32;
        /// Memory of `size` bytes, aligned to a power of two, or null.
        #[cfg(feature = "tls")]
        pub(super) fn casemate_port_allocate(size: usize, alignment: usize) -> *mut u8;
        /// Takes back what `casemate_port_allocate` gave.
        #[cfg(feature = "tls")]
        pub(super) fn casemate_port_free(memory: *mut u8);
        /// Seconds since 1970.
        #[cfg(feature = "tls")]
        pub(super) fn casemate_port_time() -> u64;
        /// Memory of the running call will be used by later ones, of other sessions.
        #[cfg(feature = "resumption")]
        pub(super) fn casemate_port_memory_is_shared();
        /// Asks the program about a certificate: 0 if it has no objection. Does not raise.
        #[cfg(feature = "tls")]
        pub(super) fn casemate_port_ask(certificate: *const u8, length: usize, depth: usize) -> i32;
        /// Has the key of the running session's context, which a server holds, sign: the signature's length, or 0. Does not
        /// raise.
        #[cfg(all(feature = "tls", feature = "hsm"))]
        pub(super) fn casemate_port_sign(
            data: *const u8,
            length: usize,
            signature: *mut u8,
            room: usize,
        ) -> usize;
        /// Raises a Python exception that names the place, and does not return.
        pub(super) fn casemate_port_panic(file: *const u8, length: usize, line: u32) -> !;
    }
}

/// A broken invariant becomes a Python exception. Rust's frames are left without being unwound: what they own is lost, and
/// the object that was in use must not be used again.
#[cfg(all(feature = "firmware", not(test)))]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = information.location().map_or(("", 0), |place| (place.file(), place.line()));
    // SAFETY: the pointer and the length are those of one string that lives as long as the program. The function ends in a
    // jump to MicroPython's handler, below all frames of Rust; none of them holds a lock or a destructor that others
    // rely on.
    unsafe { port::casemate_port_panic(file.as_ptr(), file.len(), line) }
}

/// The compiled `core` of hosted targets names this function in its unwinding tables; with panics that abort it is never
/// called.
#[cfg(all(feature = "firmware", not(test), not(target_os = "none")))]
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// The C interface of TLS. Contexts and sessions are pointers that C got from `_new` and gives back to `_free` once.
#[cfg(feature = "tls")]
pub mod tls {
    use super::{bytes, bytes_mut};
    use crate::tls::{Context, Failure, LoadError, Session, Status, VerifyMode, suites};
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    const fn number(status: Status) -> i32 {
        match status {
            Status::Handshaking => 0,
            Status::Open => 1,
            Status::PeerClosed => 2,
        }
    }

    /// A new context, for the server's side or the client's.
    #[unsafe(no_mangle)]
    pub extern "C" fn casemate_context_new(server: bool) -> *mut Context {
        Box::into_raw(Box::new(Context::new(server)))
    }

    /// # Safety
    /// `context` came from [`casemate_context_new`] and is not used afterwards.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_free(context: *mut Context) {
        // SAFETY: the caller's promise is the one that `from_raw` asks for.
        drop(unsafe { Box::from_raw(context) });
    }

    /// Sets how the peer's certificate is treated: 0 not at all, 1 optional, else required.
    ///
    /// # Safety
    /// `context` is a context that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_set_mode(context: *mut Context, mode: u8) {
        // SAFETY: valid and exclusive by the caller's promise.
        let context = unsafe { &mut *context };
        context.set_mode(match mode {
            0 => VerifyMode::None,
            1 => VerifyMode::Optional,
            _ => VerifyMode::Required,
        });
    }

    /// [`Context::set_callback`].
    ///
    /// # Safety
    /// As for [`casemate_context_set_mode`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_set_callback(context: *mut Context, callback: bool) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *context }.set_callback(callback);
    }

    /// [`Context::set_protocols`].
    ///
    /// # Safety
    /// As for [`casemate_context_load_key`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_set_protocols(
        context: *mut Context,
        list: *const u8,
        length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let (context, list) = unsafe { (&mut *context, bytes(list, length)) };
        context.set_protocols(list).map_or_else(|failure| failure.0, |()| 0)
    }

    /// [`Context::prepare`].
    ///
    /// # Safety
    /// As for [`casemate_context_set_mode`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_prepare(context: *mut Context, named: bool) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *context }.prepare(named).map_or_else(|failure| failure.0, |()| 0)
    }

    /// [`Context::load_key`]: 0, 1 if the key or 2 if a certificate cannot be read.
    ///
    /// # Safety
    /// As for [`casemate_context_set_mode`]; the other pointers are readable for their lengths.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_load_key(
        context: *mut Context,
        key: *const u8,
        key_length: usize,
        certificate: *const u8,
        certificate_length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let (context, key, certificate) =
            unsafe { (&mut *context, bytes(key, key_length), bytes(certificate, certificate_length)) };
        match context.load_key(key, certificate) {
            Ok(()) => 0,
            Err(LoadError::Key) => 1,
            Err(LoadError::Certificate) => 2,
        }
    }

    /// [`Context::load_held_key`]: 0, 1 if the key or 2 if a certificate cannot be read or they do not match.
    ///
    /// # Safety
    /// As for [`casemate_context_load_key`].
    #[cfg(feature = "hsm")]
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_load_held_key(
        context: *mut Context,
        public: *const u8,
        public_length: usize,
        certificate: *const u8,
        certificate_length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let (context, public, certificate) =
            unsafe { (&mut *context, bytes(public, public_length), bytes(certificate, certificate_length)) };
        match context.load_held_key(public, certificate) {
            Ok(()) => 0,
            Err(LoadError::Key) => 1,
            Err(LoadError::Certificate) => 2,
        }
    }

    /// [`Context::add_anchors`]: 0, or 2 if a certificate cannot be read.
    ///
    /// # Safety
    /// As for [`casemate_context_load_key`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_add_anchors(
        context: *mut Context,
        data: *const u8,
        length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let (context, data) = unsafe { (&mut *context, bytes(data, length)) };
        if context.add_anchors(data).is_ok() { 0 } else { 2 }
    }

    /// [`Context::set_suites`]; the numbers are big-endian pairs of bytes.
    ///
    /// # Safety
    /// As for [`casemate_context_load_key`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_context_set_suites(
        context: *mut Context,
        numbers: *const u8,
        length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let (context, numbers) = unsafe { (&mut *context, bytes(numbers, length)) };
        let (pairs, _) = numbers.as_chunks::<2>();
        let numbers: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        context.set_suites(&numbers).map_or_else(|failure| failure.0, |()| 0)
    }

    /// The number of the cipher suite at `index` of those that this build has, 0 after the last.
    #[unsafe(no_mangle)]
    pub extern "C" fn casemate_suite(index: usize) -> u16 {
        suites().get(index).copied().unwrap_or(0)
    }

    /// [`Context::session`]. A null `name` means none. Writes the session to `session` if the answer is 0.
    ///
    /// # Safety
    /// As for [`casemate_context_load_key`]; `session` points to a pointer that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_new(
        context: *const Context,
        name: *const u8,
        length: usize,
        session: *mut *mut Session,
    ) -> i32 {
        // SAFETY: valid and readable by the caller's promise.
        let (context, bytes) = unsafe { (&*context, bytes(name, length)) };
        let made = match (name.is_null(), core::str::from_utf8(bytes)) {
            (true, _) => context.session(None),
            (false, Ok(name)) => context.session(Some(name)),
            (false, Err(_)) => Err(Failure::NAME),
        };
        match made {
            Ok(made) => {
                // SAFETY: valid and exclusive by the caller's promise.
                unsafe { *session = Box::into_raw(Box::new(made)) };
                0
            }
            Err(failure) => failure.0,
        }
    }

    /// # Safety
    /// `session` came from [`casemate_session_new`] and is not used afterwards.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_free(session: *mut Session) {
        // SAFETY: the caller's promise is the one that `from_raw` asks for.
        drop(unsafe { Box::from_raw(session) });
    }

    /// [`Session::step`]: 0 handshaking, 1 open, 2 closed by the peer, or a negative failure.
    ///
    /// # Safety
    /// `session` is a session that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_step(session: *mut Session) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        match unsafe { &mut *session }.step() {
            Ok(status) => number(status),
            Err(failure) => failure.0,
        }
    }

    /// [`Session::input`]: writes where to put bytes, and how many at most.
    ///
    /// # Safety
    /// As for [`casemate_session_step`]; `room` and `length` point to variables that nobody else uses during the call. The
    /// room may be written to until the session's next call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_input(
        session: *mut Session,
        room: *mut *mut u8,
        length: *mut usize,
    ) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        match unsafe { &mut *session }.input() {
            Ok(slice) => {
                // SAFETY: as above.
                unsafe { (*room, *length) = (slice.as_mut_ptr(), slice.len()) };
                0
            }
            Err(failure) => failure.0,
        }
    }

    /// [`Session::filled`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_filled(session: *mut Session, count: usize) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *session }.filled(count);
    }

    /// [`Session::end_of_input`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_end_of_input(session: *mut Session) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *session }.end_of_input().map_or_else(|failure| failure.0, |()| 0)
    }

    /// [`Session::output`]: the bytes are valid until the session's next call.
    ///
    /// # Safety
    /// As for [`casemate_session_input`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_output(
        session: *mut Session,
        output: *mut *const u8,
        length: *mut usize,
    ) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe {
            let slice = (*session).output();
            (*output, *length) = (slice.as_ptr(), slice.len());
        }
    }

    /// [`Session::sent`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_sent(session: *mut Session, count: usize) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *session }.sent(count);
    }

    /// [`Session::is_readable`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_readable(session: *mut Session) -> bool {
        // SAFETY: valid by the caller's promise.
        unsafe { &*session }.is_readable()
    }

    /// [`Session::read`]: writes the count, and answers as [`casemate_session_step`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`]; `target` points to `length` bytes, and `count` to a variable, that nobody else uses
    /// during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_read(
        session: *mut Session,
        target: *mut u8,
        length: usize,
        count: *mut usize,
    ) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        match unsafe { (*session).read(bytes_mut(target, length)) } {
            Ok((done, status)) => {
                // SAFETY: as above.
                unsafe { *count = done };
                number(status)
            }
            Err(failure) => failure.0,
        }
    }

    /// [`Session::shrink`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_shrink(session: *mut Session) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *session }.shrink();
    }

    /// [`Session::protocol`]: a length of 0 means none.
    ///
    /// # Safety
    /// As for [`casemate_session_output`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_protocol(
        session: *mut Session,
        protocol: *mut *const u8,
        length: *mut usize,
    ) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe {
            let slice = (*session).protocol().unwrap_or_default();
            (*protocol, *length) = (slice.as_ptr(), slice.len());
        }
    }

    /// [`Session::is_resumed`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_resumed(session: *mut Session) -> bool {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &*session }.is_resumed()
    }

    /// [`Session::write`]: a count, or a negative failure.
    ///
    /// # Safety
    /// As for [`casemate_session_step`]; `data` points to `length` readable bytes.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_write(
        session: *mut Session,
        data: *const u8,
        length: usize,
    ) -> i32 {
        // SAFETY: valid, exclusive and readable by the caller's promise.
        let answer = unsafe { (*session).write(bytes(data, length)) };
        answer.map_or_else(|failure| failure.0, |count| i32::try_from(count).unwrap_or(0))
    }

    /// [`Session::close`].
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_close(session: *mut Session) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *session }.close();
    }

    /// [`Session::peer_certificate`]: a length of 0 means none.
    ///
    /// # Safety
    /// As for [`casemate_session_output`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_peer_certificate(
        session: *mut Session,
        certificate: *mut *const u8,
        length: *mut usize,
    ) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe {
            let slice = (*session).peer_certificate().unwrap_or_default();
            (*certificate, *length) = (slice.as_ptr(), slice.len());
        }
    }

    /// [`Session::suite`] in the lower, [`Session::version`] in the upper half; 0 if they are not agreed.
    ///
    /// # Safety
    /// As for [`casemate_session_step`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_session_agreed(session: *mut Session) -> u32 {
        // SAFETY: valid by the caller's promise.
        let session = unsafe { &*session };
        match (session.suite(), session.version()) {
            (Some(suite), Some(version)) => (u32::from(version) << 16) | u32::from(suite),
            _ => 0,
        }
    }

    /// [`Failure::text`]: writes the text's length, and returns its bytes, which end nowhere.
    ///
    /// # Safety
    /// `length` points to a variable that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_failure_text(number: i32, length: *mut usize) -> *const u8 {
        let text = Failure(number).text();
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { *length = text.len() };
        text.as_ptr()
    }
}

/// The C interface of the client of a server. A client lives in memory that C got for it, and is never moved.
#[cfg(feature = "hsm")]
pub mod hsm {
    use super::{Bytes, bytes, bytes_mut, code};
    use crate::Error;
    use crate::hsm::{Call, Failure, Hsm, KeyKind, Scheme, buffer_size};

    /// C lays the client out behind its own object, which is aligned so.
    const _: () = assert!(align_of::<Hsm<'static>>() <= 8);

    /// [`Call`] as C has it.
    #[repr(C)]
    #[derive(Debug)]
    pub struct HsmCall {
        operation: u8,
        id: u16,
        number: u32,
        input: Bytes,
        extra: Bytes,
        state: *mut u8,
        state_length: usize,
        output: *mut u8,
        room: usize,
        length: usize,
        value: u32,
    }

    /// [`Scheme`] as C has it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub struct HsmScheme {
        kind: u8,
        hash: u8,
        bits: u16,
        pss: bool,
        prehashed: bool,
    }

    impl HsmScheme {
        fn scheme(self) -> Result<Scheme, Error> {
            let Self { kind, hash, bits, pss, prehashed } = self;
            let kind = KeyKind::from_number(kind).ok_or(Error::Unsupported)?;
            Ok(Scheme { kind, bits, hash, pss, prehashed })
        }
    }

    /// Bytes of memory for a client with packets of up to `data_length` bytes of payload.
    #[unsafe(no_mangle)]
    pub extern "C" fn casemate_hsm_size(data_length: usize) -> usize {
        size_of::<Hsm<'static>>().saturating_add(buffer_size(data_length))
    }

    /// [`Hsm::new`], in memory of [`casemate_hsm_size`] bytes.
    ///
    /// # Safety
    /// `memory` points to that many bytes, aligned to 8, which belong to the client from now on and for as long as it is
    /// used.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_start(memory: *mut Hsm<'static>, data_length: usize) {
        // SAFETY: the buffer lies behind the client, within the memory by the caller's promise, and nobody else uses it.
        // The client is written over memory that holds no other value, and is aligned as it has to be (see above).
        unsafe {
            let buffer = bytes_mut(memory.add(1).cast(), buffer_size(data_length));
            memory.write(Hsm::new(buffer));
        }
    }

    /// [`Hsm::call`]: 0 with an outcome, else the number of a [`Failure`].
    ///
    /// # Safety
    /// `hsm` is a client that nobody else uses during the call; `call` points to a call, whose pointers are valid for their
    /// lengths; what is written does not overlap anything else.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_call(hsm: *mut Hsm<'static>, call: *mut HsmCall) -> i32 {
        // SAFETY: valid and exclusive by the caller's promise.
        let (hsm, outside) = unsafe { (&mut *hsm, &mut *call) };
        // SAFETY: valid, and those that are written exclusive, by the caller's promise.
        let mut call = unsafe {
            Call {
                operation: outside.operation,
                id: outside.id,
                number: outside.number,
                input: outside.input.view(),
                extra: outside.extra.view(),
                state: bytes_mut(outside.state, outside.state_length),
                output: bytes_mut(outside.output, outside.room),
                length: 0,
                value: 0,
            }
        };
        let outcome = hsm.call(&mut call);
        (outside.length, outside.value) = (call.length, call.value);
        outcome.map_or_else(|failure| failure.0, |()| 0)
    }

    /// [`Hsm::output`]: the bytes are valid until the client's next call.
    ///
    /// # Safety
    /// `hsm` is a client that nobody else uses during the call; `output` and `length` point to variables that nobody else
    /// uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_output(
        hsm: *mut Hsm<'static>,
        output: *mut *const u8,
        length: *mut usize,
    ) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe {
            let slice = (*hsm).output();
            (*output, *length) = (slice.as_ptr(), slice.len());
        }
    }

    /// [`Hsm::sent`].
    ///
    /// # Safety
    /// `hsm` is a client that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_sent(hsm: *mut Hsm<'static>, count: usize) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *hsm }.sent(count);
    }

    /// [`Hsm::input`]: the room may be written to until the client's next call.
    ///
    /// # Safety
    /// As for [`casemate_hsm_output`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_input(
        hsm: *mut Hsm<'static>,
        room: *mut *mut u8,
        length: *mut usize,
    ) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe {
            let slice = (*hsm).input();
            (*room, *length) = (slice.as_mut_ptr(), slice.len());
        }
    }

    /// [`Hsm::filled`].
    ///
    /// # Safety
    /// As for [`casemate_hsm_sent`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_filled(hsm: *mut Hsm<'static>, count: usize) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *hsm }.filled(count);
    }

    /// [`Hsm::abandon`].
    ///
    /// # Safety
    /// As for [`casemate_hsm_sent`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_abandon(hsm: *mut Hsm<'static>, lost: bool) {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &mut *hsm }.abandon(lost);
    }

    /// [`Hsm::piece`].
    ///
    /// # Safety
    /// As for [`casemate_hsm_sent`].
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_piece(hsm: *mut Hsm<'static>) -> usize {
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { &*hsm }.piece()
    }

    /// [`KeyKind::of`]: the kind in the lower 8 bits, 0 for none, and an RSA key's bits above.
    ///
    /// # Safety
    /// `public` points to `length` readable bytes.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_kind(public: *const u8, length: usize) -> u32 {
        // SAFETY: the caller's promise is the one that `bytes` asks for.
        let kind = KeyKind::of(unsafe { bytes(public, length) });
        kind.map_or(0, |(kind, bits)| u32::from(kind as u8) | (u32::from(bits) << 8))
    }

    /// [`Scheme::encode`]: writes the block's length.
    ///
    /// # Safety
    /// `output` points to `room` bytes, and `length` to a variable, that nobody else uses during the call; `message` is
    /// readable.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_encode(
        scheme: HsmScheme,
        message: Bytes,
        output: *mut u8,
        room: usize,
        length: *mut usize,
    ) -> i32 {
        // SAFETY: the caller's promise covers both views, which do not overlap.
        let (message, output) = unsafe { (message.view(), bytes_mut(output, room)) };
        match scheme.scheme().and_then(|scheme| scheme.encode(message, output)) {
            Ok(written) => {
                // SAFETY: valid and exclusive by the caller's promise.
                unsafe { *length = written };
                0
            }
            Err(error) => error.code(),
        }
    }

    /// [`Scheme::check`].
    ///
    /// # Safety
    /// `block` points to `length` bytes that nobody else uses during the call; `message` is readable.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_check(
        scheme: HsmScheme,
        message: Bytes,
        block: *mut u8,
        length: usize,
    ) -> i32 {
        // SAFETY: the caller's promise covers both views, which do not overlap.
        let (message, block) = unsafe { (message.view(), bytes_mut(block, length)) };
        code(scheme.scheme().and_then(|scheme| scheme.check(message, block)))
    }

    /// [`Failure::text`]: writes the text's length, and returns its bytes, which end nowhere.
    ///
    /// # Safety
    /// `length` points to a variable that nobody else uses during the call.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn casemate_hsm_text(number: i32, length: *mut usize) -> *const u8 {
        let text = Failure(number).text();
        // SAFETY: valid and exclusive by the caller's promise.
        unsafe { *length = text.len() };
        text.as_ptr()
    }
}

/// Rust's heap is the port's.
#[cfg(all(feature = "firmware", feature = "tls", not(test)))]
mod heap {
    use core::alloc::{GlobalAlloc, Layout};

    struct PortHeap;

    #[global_allocator]
    static HEAP: PortHeap = PortHeap;

    // SAFETY: the port's functions return memory that nobody else has, of at least the size and with the alignment that
    // were asked for, or null; they do not unwind.
    unsafe impl GlobalAlloc for PortHeap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: any size and any power of two may be asked for.
            unsafe { super::port::casemate_port_allocate(layout.size(), layout.align()) }
        }

        unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
            // SAFETY: it came from `alloc` and is not used any more, by the caller's promise.
            unsafe { super::port::casemate_port_free(memory) }
        }
    }
}

/// Seconds since 1970, from the port.
#[cfg(all(feature = "firmware", feature = "tls"))]
pub(crate) fn time() -> u64 {
    // SAFETY: the function has no conditions.
    unsafe { port::casemate_port_time() }
}

/// Seconds since 1970, from the operating system, where this crate is tested by itself.
#[cfg(all(not(feature = "firmware"), feature = "tls"))]
pub(crate) fn time() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |duration| duration.as_secs())
}

/// Tells the port that memory which the running call allocated outlives the session that it was allocated for.
#[cfg(feature = "resumption")]
pub(crate) fn memory_is_shared() {
    #[cfg(feature = "firmware")]
    // SAFETY: the function has no conditions.
    unsafe {
        port::casemate_port_memory_is_shared();
    }
}

/// Asks the program about a certificate: false if it objects. Where this crate runs by itself, nobody does.
#[cfg(feature = "tls")]
pub(crate) fn ask_program(certificate: &[u8], depth: usize) -> bool {
    #[cfg(feature = "firmware")]
    // SAFETY: the pointer and the length are those of one slice, which is not changed during the call.
    return unsafe { port::casemate_port_ask(certificate.as_ptr(), certificate.len(), depth) == 0 };
    #[cfg(not(feature = "firmware"))]
    {
        let _ = (certificate, depth);
        true
    }
}

/// Has the key of the running session's context sign what it signs: the signature's length, or 0. Where this crate runs by
/// itself, there is none.
#[cfg(all(feature = "tls", feature = "hsm"))]
pub(crate) fn sign(data: &[u8], signature: &mut [u8]) -> usize {
    #[cfg(feature = "firmware")]
    // SAFETY: the pointers and lengths are those of two slices; the one that is written is exclusively ours.
    return unsafe {
        port::casemate_port_sign(data.as_ptr(), data.len(), signature.as_mut_ptr(), signature.len())
    };
    #[cfg(not(feature = "firmware"))]
    {
        let _ = (data, signature);
        0
    }
}

/// A value behind a lock that nobody waits for.
#[cfg(feature = "resumption")]
pub(crate) struct TryCell<T> {
    locked: core::sync::atomic::AtomicBool,
    value: core::cell::UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time to the value.
#[cfg(feature = "resumption")]
unsafe impl<T: Send> Sync for TryCell<T> {}

#[cfg(feature = "resumption")]
impl<T> TryCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        let locked = core::sync::atomic::AtomicBool::new(false);
        Self { locked, value: core::cell::UnsafeCell::new(value) }
    }

    /// Calls `use_it` with the value; none if it is in use. If `use_it` is left by a jump, it stays in use.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> Option<R> {
        use core::sync::atomic::Ordering;
        if self.locked.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the swap found the lock open and closed it; so this is the only reference until it is opened below.
        let result = use_it(unsafe { &mut *self.value.get() });
        self.locked.store(false, Ordering::Release);
        Some(result)
    }
}
