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

#[cfg(any(feature = "aead", feature = "mac"))]
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

/// What the port supplies.
#[cfg(feature = "firmware")]
mod port {
    unsafe extern "C" {
        /// Fills `output` with random bytes; 0 if it did.
        pub(super) fn casemate_port_random(output: *mut u8, length: usize) -> i32;
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
