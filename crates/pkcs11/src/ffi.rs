//! The C interface: every function of PKCS#11 3.2, as a shared library exports it.
//!
//! A function here does three things: it turns pointers and lengths into slices, calls the method of [`Module`] that does
//! the work, and turns the outcome into a return value. Null pointers where there must be something are
//! `CKR_ARGUMENTS_BAD`; a panic, which would be a fault of this crate, is `CKR_GENERAL_ERROR`. Input is copied before the
//! output is written, as callers may pass the same memory for both.
#![allow(unsafe_code)]
#![allow(non_snake_case, reason = "these are the names of the standard")]

use crate::attributes::Attribute;
use crate::config;
use crate::error::{Error, Result, fail};
use crate::mechanism::{HASH_ML_DSA, Mechanism, Parameter, RSA_PSS};
use crate::module::Module;
use crate::signing::GATHER_LIMIT;
use cryptoki_sys::*;
use std::os::raw::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::time::Duration;
use zeroize::Zeroizing;

/// The module, between `C_Initialize` and `C_Finalize`.
static MODULE: RwLock<Option<Arc<Module>>> = RwLock::new(None);
/// The process that called `C_Initialize`; 0 if none has. A forked process has another number: it shares the parent's
/// connections and must not use them (PKCS#11 3.0, §6.6.1).
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The longest input or output of a call, and the longest value of an attribute.
const LONGEST: usize = GATHER_LIMIT + 65_536;
const MOST_ATTRIBUTES: CK_ULONG = 1024;

fn module() -> Result<Arc<Module>> {
    if OWNER.load(Ordering::Acquire) != std::process::id() {
        return fail(CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    let module = MODULE.read().unwrap_or_else(PoisonError::into_inner);
    module.clone().ok_or(Error::Code(CKR_CRYPTOKI_NOT_INITIALIZED))
}

/// Changes the module and its owner, if `change` says so of the present owner; what was there before. Of two threads that
/// initialize or finalize at once, one is the first. A lock that a thread of the parent held while the process was forked
/// is never released.
fn replace_module(
    new: Option<Arc<Module>>,
    owner: u32,
    change: impl Fn(u32) -> Result<()>,
) -> Result<Option<Arc<Module>>> {
    let replace = |module: &mut Option<Arc<Module>>| {
        change(OWNER.load(Ordering::Acquire))?;
        let old = std::mem::replace(module, new.clone());
        OWNER.store(owner, Ordering::Release);
        Ok(old)
    };
    for _ in 0..1000 {
        match MODULE.try_write() {
            Ok(mut module) => return replace(&mut module),
            Err(TryLockError::Poisoned(poisoned)) => return replace(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    fail(CKR_CANT_LOCK)
}

/// The return value of a call.
fn answer(call: impl FnOnce() -> Result<()>) -> CK_RV {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => CKR_OK,
        Ok(Err(error)) => error.code(),
        Err(_) => CKR_GENERAL_ERROR,
    }
}

/// A length as Rust counts; `code` if it is longer than anything may be.
fn length(length: CK_ULONG, code: CK_RV) -> Result<usize> {
    usize::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or(Error::Code(code))
}

/// The caller's bytes.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD`; `too_long` if they are more than [`LONGEST`].
///
/// # Safety
/// `data` is null or points to `count` bytes that nobody writes meanwhile.
unsafe fn bytes(data: *const CK_BYTE, count: CK_ULONG, too_long: CK_RV) -> Result<Zeroizing<Vec<u8>>> {
    let count = length(count, too_long)?;
    if count == 0 {
        return Ok(Zeroizing::default());
    }
    if data.is_null() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for the rest; at most `LONGEST` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(data, count) };
    Ok(Zeroizing::new(bytes.to_vec()))
}

/// The caller's data for an operation of a session, which ends if they are too long.
///
/// # Safety
/// As for [`bytes`].
unsafe fn input(
    module: &Module,
    (session, flag): (CK_SESSION_HANDLE, CK_FLAGS),
    data: *const CK_BYTE,
    count: CK_ULONG,
) -> Result<Zeroizing<Vec<u8>>> {
    let too_long = if flag == CKF_DECRYPT { CKR_ENCRYPTED_DATA_LEN_RANGE } else { CKR_DATA_LEN_RANGE };
    // SAFETY: the caller vouches for it.
    let data = unsafe { bytes(data, count, too_long) };
    if let Err(Error::Code(code)) = &data
        && *code == too_long
    {
        module.cancel(session, flag)?;
    }
    data
}

/// The caller's PIN.
///
/// # Safety
/// As for [`bytes`].
unsafe fn pin(pin: *const CK_BYTE, count: CK_ULONG) -> Result<Zeroizing<Vec<u8>>> {
    // SAFETY: the caller vouches for it.
    unsafe { bytes(pin, count, CKR_PIN_LEN_RANGE) }
}

/// The caller's buffer; nothing if it asks for the length.
///
/// # Safety
/// `count` is null or points to a number. `data` is null or points to that many bytes that nobody else uses meanwhile.
unsafe fn buffer<'a>(data: *mut CK_BYTE, count: *mut CK_ULONG) -> Result<Option<&'a mut [u8]>> {
    if count.is_null() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    if data.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let size = unsafe { count.read_unaligned() };
    // No outcome is longer, so what is behind is not touched.
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(LONGEST);
    if size == 0 {
        return Ok(Some(&mut []));
    }
    // SAFETY: not null, and the caller vouches for the rest; at most `LONGEST` bytes. Memory of a C program counts as
    // initialized here.
    Ok(Some(unsafe { std::slice::from_raw_parts_mut(data, size) }))
}

/// Gives the caller a value.
///
/// # Safety
/// `to` is null or may be written.
unsafe fn put<T>(to: *mut T, value: T) -> Result<()> {
    if to.is_null() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// Tells the length of an outcome, also one that did not fit.
///
/// # Safety
/// `count` may be written.
unsafe fn put_length(count: *mut CK_ULONG, outcome: Result<usize>) -> Result<()> {
    if let Ok(length) | Err(Error::TooSmall(length)) = outcome {
        // SAFETY: the caller vouches for it.
        unsafe { put(count, length as CK_ULONG) }?;
    }
    outcome.map(|_| ())
}

/// Gives the caller a list, or its length.
///
/// # Safety
/// `count` is null or points to a number. `to` is null or points to space for that many elements.
unsafe fn put_list<T: Copy>(to: *mut T, count: *mut CK_ULONG, list: &[T]) -> Result<()> {
    if count.is_null() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let room = unsafe { count.read_unaligned() };
    let fits = usize::try_from(room).is_ok_and(|room| list.len() <= room);
    if !to.is_null() && fits {
        for (index, element) in list.iter().enumerate() {
            // SAFETY: the index is below the number of elements for which the caller says that there is room.
            unsafe { to.add(index).write_unaligned(*element) };
        }
    }
    // SAFETY: as above.
    unsafe { put(count, list.len() as CK_ULONG) }?;
    if to.is_null() || fits { Ok(()) } else { Err(Error::TooSmall(list.len())) }
}

/// The caller's template.
///
/// # Safety
/// `template` is null or points to `count` attributes, whose values are null or as long as they say.
unsafe fn template(template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Vec<Attribute>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if template.is_null() || count > MOST_ATTRIBUTES {
        return fail(CKR_ARGUMENTS_BAD);
    }
    (0..length(count, CKR_ARGUMENTS_BAD)?)
        .map(|index| {
            // SAFETY: the caller vouches for `count` attributes, each with its value.
            let CK_ATTRIBUTE { type_, pValue, ulValueLen } = unsafe { template.add(index).read_unaligned() };
            // SAFETY: as above.
            let value = unsafe { bytes(pValue.cast(), ulValueLen, CKR_ATTRIBUTE_VALUE_INVALID) };
            let value = value.map_err(|_| Error::Code(CKR_ATTRIBUTE_VALUE_INVALID))?;
            Ok(Attribute { kind: type_, value })
        })
        .collect()
}

/// A structure that the caller points to; `None` unless it has this size.
///
/// # Safety
/// `data` is null or points to `size` bytes, which are a `T` if they are as many.
unsafe fn structure<T: Copy>(data: *const c_void, size: CK_ULONG) -> Option<T> {
    let right = usize::try_from(size).is_ok_and(|size| size == size_of::<T>());
    // SAFETY: not null, and the caller vouches for the rest.
    (right && !data.is_null()).then(|| unsafe { data.cast::<T>().read_unaligned() })
}

/// The caller's mechanism; nothing if the pointer is null, which cancels an operation.
///
/// # Safety
/// `mechanism` is null or points to a mechanism, whose parameter is null, or as long as it says and, if it has the
/// length of the mechanism's structure, that structure with pointers for which the same holds.
unsafe fn mechanism(mechanism: *const CK_MECHANISM) -> Result<Option<Mechanism>> {
    if mechanism.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let CK_MECHANISM { mechanism: kind, pParameter: data, ulParameterLen: size } =
        unsafe { mechanism.read_unaligned() };
    // SAFETY: the caller vouches for it.
    let parameter = unsafe { parameter(kind, data, size) }.unwrap_or(Parameter::Invalid);
    Ok(Some(Mechanism { kind, parameter }))
}

/// The mechanism that must be there.
///
/// # Safety
/// As for [`mechanism`].
unsafe fn needed(given: *const CK_MECHANISM) -> Result<Mechanism> {
    // SAFETY: the caller vouches for it.
    unsafe { mechanism(given) }?.ok_or(Error::Code(CKR_ARGUMENTS_BAD))
}

/// The parameter of a mechanism of this kind; `None` if it does not have its form.
///
/// # Safety
/// As for [`mechanism`].
unsafe fn parameter(kind: CK_MECHANISM_TYPE, data: *const c_void, size: CK_ULONG) -> Option<Parameter> {
    let hashed = |table: &[(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE)]| table.iter().any(|(own, _)| *own == kind);
    // SAFETY: the caller vouches for the structure and for what it points to. The same holds in every block here.
    let take = |data: *const CK_BYTE, size| {
        // SAFETY: see above.
        let bytes = unsafe { bytes(data, size, CKR_MECHANISM_PARAM_INVALID) };
        bytes.ok().map(|bytes| bytes.to_vec())
    };
    let count = |number: CK_ULONG| usize::try_from(number).ok();
    Some(match kind {
        _ if kind == CKM_RSA_PKCS_PSS || hashed(&RSA_PSS) => {
            // SAFETY: see above.
            let pss = unsafe { structure::<CK_RSA_PKCS_PSS_PARAMS>(data, size) }?;
            Parameter::Pss { hash: pss.hashAlg, mask: pss.mgf, salt_length: count(pss.sLen)? }
        }
        CKM_RSA_PKCS_OAEP => {
            // SAFETY: see above.
            let oaep = unsafe { structure::<CK_RSA_PKCS_OAEP_PARAMS>(data, size) }?;
            // Without a source there is no label, whatever stands where it would be.
            let label = match oaep.source {
                CKZ_DATA_SPECIFIED => take(oaep.pSourceData.cast(), oaep.ulSourceDataLen)?,
                0 if oaep.ulSourceDataLen == 0 => Vec::new(),
                _ => return None,
            };
            Parameter::Oaep { hash: oaep.hashAlg, mask: oaep.mgf, label }
        }
        CKM_AES_CTR => {
            // SAFETY: see above.
            let ctr = unsafe { structure::<CK_AES_CTR_PARAMS>(data, size) }?;
            Parameter::Ctr { bits: count(ctr.ulCounterBits)?, block: ctr.cb }
        }
        CKM_AES_GCM => {
            // SAFETY: see above.
            let gcm = unsafe { structure::<CK_GCM_PARAMS>(data, size) }?;
            let (iv, aad) = (take(gcm.pIv, gcm.ulIvLen)?, take(gcm.pAAD, gcm.ulAADLen)?);
            Parameter::Gcm { iv, aad, tag_bits: count(gcm.ulTagBits)? }
        }
        CKM_AES_CCM => {
            // SAFETY: see above.
            let ccm = unsafe { structure::<CK_CCM_PARAMS>(data, size) }?;
            Parameter::Ccm {
                length: count(ccm.ulDataLen)?,
                nonce: take(ccm.pNonce, ccm.ulNonceLen)?,
                aad: take(ccm.pAAD, ccm.ulAADLen)?,
                tag_length: count(ccm.ulMACLen)?,
            }
        }
        CKM_ECDH1_DERIVE => {
            // SAFETY: see above.
            let ecdh = unsafe { structure::<CK_ECDH1_DERIVE_PARAMS>(data, size) }?;
            Parameter::Ecdh {
                kdf: ecdh.kdf,
                shared: take(ecdh.pSharedData, ecdh.ulSharedDataLen)?,
                public: take(ecdh.pPublicData, ecdh.ulPublicDataLen)?,
            }
        }
        CKM_HKDF_DERIVE => {
            // SAFETY: see above.
            let hkdf = unsafe { structure::<CK_HKDF_PARAMS>(data, size) }?;
            let (salt, salt_key) = match hkdf.ulSaltType {
                CKF_HKDF_SALT_NULL => (None, None),
                CKF_HKDF_SALT_DATA => (Some(take(hkdf.pSalt, hkdf.ulSaltLen)?), None),
                CKF_HKDF_SALT_KEY => (None, Some(hkdf.hSaltKey)),
                _ => return None,
            };
            Parameter::Hkdf {
                extract: hkdf.bExtract != CK_FALSE,
                expand: hkdf.bExpand != CK_FALSE,
                hash: hkdf.prfHashMechanism,
                salt,
                salt_key,
                info: take(hkdf.pInfo, hkdf.ulInfoLen)?,
            }
        }
        CKM_EDDSA if size != 0 => {
            // SAFETY: see above.
            let eddsa = unsafe { structure::<CK_EDDSA_PARAMS>(data, size) }?;
            let context = take(eddsa.pContextData, eddsa.ulContextDataLen)?;
            Parameter::Eddsa { prehashed: eddsa.phFlag != CK_FALSE, context }
        }
        CKM_HASH_ML_DSA => {
            // SAFETY: see above.
            let sign = unsafe { structure::<CK_HASH_SIGN_ADDITIONAL_CONTEXT>(data, size) }?;
            Parameter::Context {
                deterministic: sign.hedgeVariant == CKH_DETERMINISTIC_REQUIRED,
                context: take(sign.pContext, sign.ulContextLen)?,
                hash: Some(sign.hash),
            }
        }
        _ if size != 0 && (kind == CKM_ML_DSA || hashed(&HASH_ML_DSA)) => {
            // SAFETY: see above.
            let sign = unsafe { structure::<CK_SIGN_ADDITIONAL_CONTEXT>(data, size) }?;
            Parameter::Context {
                deterministic: sign.hedgeVariant == CKH_DETERMINISTIC_REQUIRED,
                context: take(sign.pContext, sign.ulContextLen)?,
                hash: None,
            }
        }
        CKM_AES_CMAC_GENERAL => {
            // SAFETY: see above.
            let number = unsafe { structure::<CK_MAC_GENERAL_PARAMS>(data, size) }?;
            Parameter::Number(count(number)?)
        }
        _ if size == 0 => Parameter::None,
        _ => Parameter::Bytes(take(data.cast(), size)?),
    })
}

/// Begins an operation, or cancels it where no mechanism is given (PKCS#11 3.0, §5.8.1).
///
/// # Safety
/// As for [`mechanism`].
unsafe fn begin(
    session: CK_SESSION_HANDLE,
    given: *const CK_MECHANISM,
    flag: CK_FLAGS,
    start: impl FnOnce(&Module, &Mechanism) -> Result<()>,
) -> Result<()> {
    let module = module()?;
    module.check_session(session)?;
    // SAFETY: the caller vouches for it.
    match unsafe { mechanism(given) }? {
        Some(mechanism) => start(&module, &mechanism),
        None => module.cancel(session, flag),
    }
}

/// A call with input and output.
///
/// # Safety
/// As for [`bytes`] and [`buffer`].
unsafe fn transform(
    operation: (CK_SESSION_HANDLE, CK_FLAGS),
    data: *const CK_BYTE,
    size: CK_ULONG,
    out: *mut CK_BYTE,
    count: *mut CK_ULONG,
    work: impl FnOnce(&Module, &[u8], Option<&mut [u8]>) -> Result<usize>,
) -> Result<()> {
    let module = module()?;
    // SAFETY: the caller vouches for it; the input is copied before the output is written.
    unsafe {
        let data = input(&module, operation, data, size)?;
        put_length(count, work(&module, &data, buffer(out, count)?))
    }
}

/// A call with output alone.
///
/// # Safety
/// As for [`buffer`].
unsafe fn produce(
    out: *mut CK_BYTE,
    count: *mut CK_ULONG,
    work: impl FnOnce(&Module, Option<&mut [u8]>) -> Result<usize>,
) -> Result<()> {
    let module = module()?;
    // SAFETY: the caller vouches for it.
    unsafe { put_length(count, work(&module, buffer(out, count)?)) }
}

/// Reads attributes into a template.
///
/// # Safety
/// `template` is null or points to `count` attributes, whose values are null or buffers as long as they say.
unsafe fn read_attributes(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<()> {
    let module = module()?;
    if template.is_null() || count > MOST_ATTRIBUTES {
        return fail(CKR_ARGUMENTS_BAD);
    }
    let count = length(count, CKR_ARGUMENTS_BAD)?;
    // SAFETY: the caller vouches for `count` attributes.
    let kinds: Vec<_> = (0..count).map(|at| unsafe { template.add(at).read_unaligned() }.type_).collect();
    let values = module.attributes(session, object, &kinds)?;
    let mut outcome = Ok(());
    for (at, value) in values.into_iter().enumerate() {
        // SAFETY: there is one value for each of the `count` attributes.
        let place = unsafe { template.add(at) };
        // SAFETY: as above.
        let mut attribute = unsafe { place.read_unaligned() };
        let room = usize::try_from(attribute.ulValueLen).unwrap_or(usize::MAX);
        match value {
            Ok(value) if attribute.pValue.is_null() => attribute.ulValueLen = value.len() as CK_ULONG,
            Ok(value) if value.len() <= room => {
                // SAFETY: the value is not longer than the buffer is said to be, and a copy that nothing overlaps.
                unsafe { ptr::copy_nonoverlapping(value.as_ptr(), attribute.pValue.cast(), value.len()) };
                attribute.ulValueLen = value.len() as CK_ULONG;
            }
            Ok(value) => {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = Err(Error::TooSmall(value.len()));
            }
            Err(error) => {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = Err(error);
            }
        }
        // SAFETY: as above.
        unsafe { place.write_unaligned(attribute) };
    }
    outcome
}

/// Checks what `C_Initialize` is told.
///
/// # Safety
/// `arguments` is null or points to a `CK_C_INITIALIZE_ARGS`.
unsafe fn check_initialize(arguments: *const CK_C_INITIALIZE_ARGS) -> Result<()> {
    if arguments.is_null() {
        return Ok(());
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let arguments = unsafe { arguments.read_unaligned() };
    let functions = [
        arguments.CreateMutex.is_some(),
        arguments.DestroyMutex.is_some(),
        arguments.LockMutex.is_some(),
        arguments.UnlockMutex.is_some(),
    ];
    let any = functions.contains(&true);
    if !arguments.pReserved.is_null() || any && functions.contains(&false) {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // The module locks as the operating system does it, and no other way.
    if any && arguments.flags & CKF_OS_LOCKING_OK == 0 { fail(CKR_CANT_LOCK) } else { Ok(()) }
}

/// `C_Initialize`, its arguments checked.
fn initialize() -> Result<()> {
    let process = std::process::id();
    let is_new = |owner| if owner == process { fail(CKR_CRYPTOKI_ALREADY_INITIALIZED) } else { Ok(()) };
    is_new(OWNER.load(Ordering::Acquire))?;
    let slots = config::slots().map_err(|error| {
        // There is no other way to say what is wrong with a file.
        eprintln!("casemate-pkcs11: {error}");
        Error::Code(CKR_GENERAL_ERROR)
    })?;
    if let Some(inherited) = replace_module(Some(Arc::new(Module::new(slots))), process, is_new)? {
        // The connections are the parent's: ending them here would end them there.
        std::mem::forget(inherited);
    }
    Ok(())
}

/// `C_Finalize`.
fn finalize() -> Result<()> {
    let process = std::process::id();
    let is_own = |owner| if owner == process { Ok(()) } else { fail(CKR_CRYPTOKI_NOT_INITIALIZED) };
    is_own(OWNER.load(Ordering::Acquire))?;
    // Connections end with the last call that uses them.
    replace_module(None, 0, is_own).map(|_| ())
}

/// Defines functions of the interface. Their bodies are Rust that may trust the caller's pointers.
macro_rules! functions {
    ($( fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block )*) => { $(
        #[doc = concat!("`", stringify!($name), "` of PKCS#11.")]
        ///
        /// # Safety
        /// Pointers are null or point to what the standard says, as long as the lengths beside them say.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> CK_RV {
            answer(|| {
                // SAFETY: the caller keeps to the standard: its pointers are null or valid for their lengths, which is
                // what each helper asks for. The helpers check for null.
                #[allow(unused_unsafe, reason = "some functions have no pointers")]
                unsafe { $body }
            })
        }
    )* };
}

/// Defines functions that the module does not offer.
macro_rules! unsupported {
    ($( $name:ident($($type:ty),* $(,)?) )*) => { $(
        #[doc = concat!("`", stringify!($name), "` of PKCS#11: not supported.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($(_: $type),*) -> CK_RV {
            match module() {
                Ok(_) => CKR_FUNCTION_NOT_SUPPORTED,
                Err(error) => error.code(),
            }
        }
    )* };
}

type Handle = CK_SESSION_HANDLE;
type Key = CK_OBJECT_HANDLE;

functions! {
    fn C_Initialize(arguments: *mut c_void) {
        check_initialize(arguments.cast())?;
        initialize()
    }

    fn C_Finalize(reserved: *mut c_void) {
        if reserved.is_null() { finalize() } else { fail(CKR_ARGUMENTS_BAD) }
    }

    fn C_GetInfo(info: *mut CK_INFO) {
        put(info, module()?.info())
    }

    fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) {
        put(list, (&raw const FUNCTIONS_2_40).cast_mut())
    }

    fn C_GetInterfaceList(list: *mut CK_INTERFACE, count: *mut CK_ULONG) {
        put_list(list, count, &interfaces())
    }

    fn C_GetInterface(
        name: *mut CK_UTF8CHAR,
        version: *mut CK_VERSION,
        interface: *mut *mut CK_INTERFACE,
        flags: CK_FLAGS,
    ) {
        if !name.is_null() && std::ffi::CStr::from_ptr(name.cast()) != INTERFACE_NAME {
            return fail(CKR_FUNCTION_FAILED);
        }
        let wanted = (!version.is_null()).then(|| version.read_unaligned());
        let found = INTERFACES.0.iter().find(|(own, _)| {
            wanted.is_none_or(|wanted| (wanted.major, wanted.minor) == (own.major, own.minor))
        });
        match found {
            Some((_, found)) if flags == 0 => put(interface, (&raw const *found).cast_mut()),
            _ => fail(CKR_FUNCTION_FAILED),
        }
    }

    fn C_GetSlotList(present: CK_BBOOL, list: *mut CK_SLOT_ID, count: *mut CK_ULONG) {
        put_list(list, count, &module()?.slots(present != CK_FALSE))
    }

    fn C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) {
        put(info, module()?.slot_info(slot)?)
    }

    fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) {
        put(info, module()?.token_info(slot)?)
    }

    fn C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) {
        put_list(list, count, &module()?.mechanisms(slot)?)
    }

    fn C_GetMechanismInfo(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) {
        put(info, module()?.mechanism_info(slot, kind)?)
    }

    fn C_InitToken(slot: CK_SLOT_ID, pin: *mut CK_UTF8CHAR, size: CK_ULONG, label: *mut CK_UTF8CHAR) {
        let module = module()?;
        if label.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        // The label has 32 bytes, padded with blanks.
        let label = bytes(label, 32, CKR_ARGUMENTS_BAD)?;
        module.init_token(slot, &self::pin(pin, size)?, &String::from_utf8_lossy(&label))
    }

    fn C_InitPIN(session: Handle, pin: *mut CK_UTF8CHAR, size: CK_ULONG) {
        module()?.init_pin(session, &self::pin(pin, size)?)
    }

    fn C_SetPIN(
        session: Handle,
        old: *mut CK_UTF8CHAR,
        old_size: CK_ULONG,
        new: *mut CK_UTF8CHAR,
        new_size: CK_ULONG,
    ) {
        module()?.set_pin(session, &pin(old, old_size)?, &pin(new, new_size)?)
    }

    fn C_OpenSession(
        slot: CK_SLOT_ID,
        flags: CK_FLAGS,
        _application: *mut c_void,
        _notify: CK_NOTIFY,
        session: *mut Handle,
    ) {
        let module = module()?;
        if session.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        put(session, module.open_session(slot, flags)?)
    }

    fn C_CloseSession(session: Handle) {
        module()?.close_session(session)
    }

    fn C_CloseAllSessions(slot: CK_SLOT_ID) {
        module()?.close_all_sessions(slot)
    }

    fn C_GetSessionInfo(session: Handle, info: *mut CK_SESSION_INFO) {
        put(info, module()?.session_info(session)?)
    }

    fn C_GetOperationState(session: Handle, _state: *mut CK_BYTE, _size: *mut CK_ULONG) {
        module()?.check_session(session)?;
        fail(CKR_STATE_UNSAVEABLE)
    }

    fn C_Login(session: Handle, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, size: CK_ULONG) {
        module()?.login(session, user, None, &self::pin(pin, size)?)
    }

    fn C_LoginUser(
        session: Handle,
        user: CK_USER_TYPE,
        pin: *mut CK_UTF8CHAR,
        size: CK_ULONG,
        name: *mut CK_UTF8CHAR,
        name_size: CK_ULONG,
    ) {
        let name = bytes(name, name_size, CKR_ARGUMENTS_BAD)?;
        module()?.login(session, user, Some(&name), &self::pin(pin, size)?)
    }

    fn C_Logout(session: Handle) {
        module()?.logout(session)
    }

    fn C_SessionCancel(session: Handle, flags: CK_FLAGS) {
        module()?.cancel(session, flags)
    }

    fn C_CreateObject(session: Handle, attributes: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut Key) {
        let module = module()?;
        if object.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        put(object, module.create_object(session, &template(attributes, count)?)?)
    }

    fn C_CopyObject(
        session: Handle,
        object: Key,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        copy: *mut Key,
    ) {
        let module = module()?;
        if copy.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        put(copy, module.copy_object(session, object, &template(attributes, count)?)?)
    }

    fn C_DestroyObject(session: Handle, object: Key) {
        module()?.destroy_object(session, object)
    }

    fn C_GetObjectSize(session: Handle, object: Key, size: *mut CK_ULONG) {
        put(size, module()?.object_size(session, object)? as CK_ULONG)
    }

    fn C_GetAttributeValue(session: Handle, object: Key, attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) {
        read_attributes(session, object, attributes, count)
    }

    fn C_SetAttributeValue(session: Handle, object: Key, attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) {
        module()?.set_attributes(session, object, &template(attributes, count)?)
    }

    fn C_FindObjectsInit(session: Handle, attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) {
        module()?.find_init(session, &template(attributes, count)?)
    }

    fn C_FindObjects(session: Handle, objects: *mut Key, most: CK_ULONG, count: *mut CK_ULONG) {
        let module = module()?;
        if objects.is_null() || count.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        let found = module.find(session, usize::try_from(most).unwrap_or(usize::MAX))?;
        count.write_unaligned(most);
        put_list(objects, count, &found)
    }

    fn C_FindObjectsFinal(session: Handle) {
        module()?.find_final(session)
    }

    fn C_EncryptInit(session: Handle, mechanism: *mut CK_MECHANISM, key: Key) {
        begin(session, mechanism, CKF_ENCRYPT, |module, mechanism| module.encrypt_init(session, mechanism, key))
    }

    fn C_Encrypt(session: Handle, data: *mut CK_BYTE, size: CK_ULONG, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        transform((session, CKF_ENCRYPT), data, size, out, count, |module, data, out| module.encrypt(session, Some(data), out))
    }

    fn C_EncryptUpdate(
        session: Handle,
        data: *mut CK_BYTE,
        size: CK_ULONG,
        out: *mut CK_BYTE,
        count: *mut CK_ULONG,
    ) {
        transform((session, CKF_ENCRYPT), data, size, out, count, |module, data, out| module.encrypt_update(session, data, out))
    }

    fn C_EncryptFinal(session: Handle, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        produce(out, count, |module, out| module.encrypt(session, None, out))
    }

    fn C_DecryptInit(session: Handle, mechanism: *mut CK_MECHANISM, key: Key) {
        begin(session, mechanism, CKF_DECRYPT, |module, mechanism| module.decrypt_init(session, mechanism, key))
    }

    fn C_Decrypt(session: Handle, data: *mut CK_BYTE, size: CK_ULONG, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        transform((session, CKF_DECRYPT), data, size, out, count, |module, data, out| module.decrypt(session, Some(data), out))
    }

    fn C_DecryptUpdate(
        session: Handle,
        data: *mut CK_BYTE,
        size: CK_ULONG,
        out: *mut CK_BYTE,
        count: *mut CK_ULONG,
    ) {
        transform((session, CKF_DECRYPT), data, size, out, count, |module, data, out| module.decrypt_update(session, data, out))
    }

    fn C_DecryptFinal(session: Handle, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        produce(out, count, |module, out| module.decrypt(session, None, out))
    }

    fn C_DigestInit(session: Handle, mechanism: *mut CK_MECHANISM) {
        begin(session, mechanism, CKF_DIGEST, |module, mechanism| module.digest_init(session, mechanism))
    }

    fn C_Digest(session: Handle, data: *mut CK_BYTE, size: CK_ULONG, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        transform((session, CKF_DIGEST), data, size, out, count, |module, data, out| module.digest(session, Some(data), out))
    }

    fn C_DigestUpdate(session: Handle, data: *mut CK_BYTE, size: CK_ULONG) {
        let module = module()?;
        module.digest_update(session, &input(&module, (session, CKF_DIGEST), data, size)?)
    }

    fn C_DigestKey(session: Handle, _key: Key) {
        module()?.check_session(session)?;
        fail(CKR_KEY_INDIGESTIBLE)
    }

    fn C_DigestFinal(session: Handle, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        produce(out, count, |module, out| module.digest(session, None, out))
    }

    fn C_SignInit(session: Handle, mechanism: *mut CK_MECHANISM, key: Key) {
        begin(session, mechanism, CKF_SIGN, |module, mechanism| module.sign_init(session, mechanism, key))
    }

    fn C_Sign(session: Handle, data: *mut CK_BYTE, size: CK_ULONG, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        transform((session, CKF_SIGN), data, size, out, count, |module, data, out| module.sign(session, Some(data), out))
    }

    fn C_SignUpdate(session: Handle, data: *mut CK_BYTE, size: CK_ULONG) {
        let module = module()?;
        module.sign_update(session, &input(&module, (session, CKF_SIGN), data, size)?)
    }

    fn C_SignFinal(session: Handle, out: *mut CK_BYTE, count: *mut CK_ULONG) {
        produce(out, count, |module, out| module.sign(session, None, out))
    }

    fn C_VerifyInit(session: Handle, mechanism: *mut CK_MECHANISM, key: Key) {
        begin(session, mechanism, CKF_VERIFY, |module, mechanism| module.verify_init(session, mechanism, key))
    }

    fn C_Verify(
        session: Handle,
        data: *mut CK_BYTE,
        size: CK_ULONG,
        signature: *mut CK_BYTE,
        signature_size: CK_ULONG,
    ) {
        let module = module()?;
        let data = input(&module, (session, CKF_VERIFY), data, size)?;
        module.verify(session, Some(&data), &bytes(signature, signature_size, CKR_SIGNATURE_LEN_RANGE)?)
    }

    fn C_VerifyUpdate(session: Handle, data: *mut CK_BYTE, size: CK_ULONG) {
        let module = module()?;
        module.verify_update(session, &input(&module, (session, CKF_VERIFY), data, size)?)
    }

    fn C_VerifyFinal(session: Handle, signature: *mut CK_BYTE, size: CK_ULONG) {
        module()?.verify(session, None, &bytes(signature, size, CKR_SIGNATURE_LEN_RANGE)?)
    }

    fn C_GenerateKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Key,
    ) {
        let module = module()?;
        if key.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        put(key, module.generate_key(session, &needed(mechanism)?, &template(attributes, count)?)?)
    }

    fn C_GenerateKeyPair(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        public: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut Key,
        private_key: *mut Key,
    ) {
        let module = module()?;
        if public_key.is_null() || private_key.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        let (public, private) = (template(public, public_count)?, template(private, private_count)?);
        let (public, private) = module.generate_key_pair(session, &needed(mechanism)?, &public, &private)?;
        put(public_key, public)?;
        put(private_key, private)
    }

    fn C_WrapKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        wrapping: Key,
        key: Key,
        out: *mut CK_BYTE,
        count: *mut CK_ULONG,
    ) {
        let mechanism = needed(mechanism)?;
        produce(out, count, |module, out| module.wrap_key(session, &mechanism, wrapping, key, out))
    }

    fn C_UnwrapKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        unwrapping: Key,
        wrapped: *mut CK_BYTE,
        size: CK_ULONG,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Key,
    ) {
        let module = module()?;
        if key.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        let (mechanism, wrapped) = (needed(mechanism)?, bytes(wrapped, size, CKR_WRAPPED_KEY_LEN_RANGE)?);
        put(key, module.unwrap_key(session, &mechanism, unwrapping, &wrapped, &template(attributes, count)?)?)
    }

    fn C_DeriveKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        base: Key,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Key,
    ) {
        let module = module()?;
        if key.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        put(key, module.derive_key(session, &needed(mechanism)?, base, &template(attributes, count)?)?)
    }

    fn C_EncapsulateKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        public: Key,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        out: *mut CK_BYTE,
        size: *mut CK_ULONG,
        key: *mut Key,
    ) {
        // Who asks for the length gets no key.
        if key.is_null() && !out.is_null() {
            module()?;
            return fail(CKR_ARGUMENTS_BAD);
        }
        let (mechanism, template) = (needed(mechanism)?, template(attributes, count)?);
        let mut made = None;
        produce(out, size, |module, out| {
            let (length, handle) = module.encapsulate_key(session, &mechanism, public, &template, out)?;
            made = handle;
            Ok(length)
        })?;
        made.map_or(Ok(()), |made| put(key, made))
    }

    fn C_DecapsulateKey(
        session: Handle,
        mechanism: *mut CK_MECHANISM,
        private: Key,
        attributes: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        ciphertext: *mut CK_BYTE,
        size: CK_ULONG,
        key: *mut Key,
    ) {
        let module = module()?;
        if key.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        let (mechanism, ciphertext) = (needed(mechanism)?, bytes(ciphertext, size, CKR_WRAPPED_KEY_LEN_RANGE)?);
        let template = template(attributes, count)?;
        put(key, module.decapsulate_key(session, &mechanism, private, &template, &ciphertext)?)
    }

    fn C_SeedRandom(session: Handle, _seed: *mut CK_BYTE, _size: CK_ULONG) {
        module()?.check_session(session)?;
        fail(CKR_RANDOM_SEED_NOT_SUPPORTED)
    }

    fn C_GenerateRandom(session: Handle, out: *mut CK_BYTE, size: CK_ULONG) {
        let module = module()?;
        let mut size = size;
        match buffer(out, &raw mut size)? {
            Some(out) => module.random(session, out),
            None if size == 0 => module.check_session(session),
            None => fail(CKR_ARGUMENTS_BAD),
        }
    }

    fn C_GetFunctionStatus(session: Handle) {
        module()?.check_session(session)?;
        fail(CKR_FUNCTION_NOT_PARALLEL)
    }

    fn C_CancelFunction(session: Handle) {
        module()?.check_session(session)?;
        fail(CKR_FUNCTION_NOT_PARALLEL)
    }

    fn C_WaitForSlotEvent(flags: CK_FLAGS, _slot: *mut CK_SLOT_ID, _reserved: *mut c_void) {
        module()?;
        if flags & CKF_DONT_BLOCK != 0 { fail(CKR_NO_EVENT) } else { fail(CKR_FUNCTION_NOT_SUPPORTED) }
    }
}

type Bytes = *mut CK_BYTE;
type Length = *mut CK_ULONG;
type Given = *mut CK_MECHANISM;

unsupported! {
    C_SetOperationState(Handle, Bytes, CK_ULONG, Key, Key)
    C_SignRecoverInit(Handle, Given, Key)
    C_SignRecover(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_VerifyRecoverInit(Handle, Given, Key)
    C_VerifyRecover(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_DigestEncryptUpdate(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_DecryptDigestUpdate(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_SignEncryptUpdate(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_DecryptVerifyUpdate(Handle, Bytes, CK_ULONG, Bytes, Length)
    C_MessageEncryptInit(Handle, Given, Key)
    C_EncryptMessage(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, CK_ULONG, Bytes, Length)
    C_EncryptMessageBegin(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG)
    C_EncryptMessageNext(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, Length, CK_FLAGS)
    C_MessageEncryptFinal(Handle)
    C_MessageDecryptInit(Handle, Given, Key)
    C_DecryptMessage(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, CK_ULONG, Bytes, Length)
    C_DecryptMessageBegin(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG)
    C_DecryptMessageNext(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, Length, CK_FLAGS)
    C_MessageDecryptFinal(Handle)
    C_MessageSignInit(Handle, Given, Key)
    C_SignMessage(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, Length)
    C_SignMessageBegin(Handle, *mut c_void, CK_ULONG)
    C_SignMessageNext(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, Length)
    C_MessageSignFinal(Handle)
    C_MessageVerifyInit(Handle, Given, Key)
    C_VerifyMessage(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, CK_ULONG)
    C_VerifyMessageBegin(Handle, *mut c_void, CK_ULONG)
    C_VerifyMessageNext(Handle, *mut c_void, CK_ULONG, Bytes, CK_ULONG, Bytes, CK_ULONG)
    C_MessageVerifyFinal(Handle)
    C_VerifySignatureInit(Handle, Given, Key, Bytes, CK_ULONG)
    C_VerifySignature(Handle, Bytes, CK_ULONG)
    C_VerifySignatureUpdate(Handle, Bytes, CK_ULONG)
    C_VerifySignatureFinal(Handle)
    C_GetSessionValidationFlags(Handle, CK_SESSION_VALIDATION_FLAGS_TYPE, *mut CK_FLAGS)
    C_AsyncComplete(Handle, *mut CK_UTF8CHAR, *mut CK_ASYNC_DATA)
    C_AsyncGetID(Handle, *mut CK_UTF8CHAR, *mut CK_ULONG)
    C_AsyncJoin(Handle, *mut CK_UTF8CHAR, CK_ULONG, Bytes, CK_ULONG)
    C_WrapKeyAuthenticated(Handle, Given, Key, Key, Bytes, CK_ULONG, Bytes, Length)
    C_UnwrapKeyAuthenticated(Handle, Given, Key, Bytes, CK_ULONG, *mut CK_ATTRIBUTE, CK_ULONG, Bytes, CK_ULONG, *mut Key)
}

/// Builds a function list: those functions that every version has, and `more`.
macro_rules! function_list {
    ($list:ident, $major:literal $minor:literal $(, $more:ident)*) => {
        function_list!(@ $list, $major, $minor,
            C_Initialize, C_Finalize, C_GetInfo, C_GetFunctionList, C_GetSlotList, C_GetSlotInfo, C_GetTokenInfo,
            C_GetMechanismList, C_GetMechanismInfo, C_InitToken, C_InitPIN, C_SetPIN, C_OpenSession, C_CloseSession,
            C_CloseAllSessions, C_GetSessionInfo, C_GetOperationState, C_SetOperationState, C_Login, C_Logout,
            C_CreateObject, C_CopyObject, C_DestroyObject, C_GetObjectSize, C_GetAttributeValue, C_SetAttributeValue,
            C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal, C_EncryptInit, C_Encrypt, C_EncryptUpdate,
            C_EncryptFinal, C_DecryptInit, C_Decrypt, C_DecryptUpdate, C_DecryptFinal, C_DigestInit, C_Digest,
            C_DigestUpdate, C_DigestKey, C_DigestFinal, C_SignInit, C_Sign, C_SignUpdate, C_SignFinal,
            C_SignRecoverInit, C_SignRecover, C_VerifyInit, C_Verify, C_VerifyUpdate, C_VerifyFinal,
            C_VerifyRecoverInit, C_VerifyRecover, C_DigestEncryptUpdate, C_DecryptDigestUpdate, C_SignEncryptUpdate,
            C_DecryptVerifyUpdate, C_GenerateKey, C_GenerateKeyPair, C_WrapKey, C_UnwrapKey, C_DeriveKey,
            C_SeedRandom, C_GenerateRandom, C_GetFunctionStatus, C_CancelFunction, C_WaitForSlotEvent $(, $more)*)
    };
    (@ $list:ident, $major:literal, $minor:literal, $($name:ident),*) => {
        $list { version: CK_VERSION { major: $major, minor: $minor }, $($name: Some($name)),* }
    };
}

static FUNCTIONS_2_40: CK_FUNCTION_LIST = function_list!(CK_FUNCTION_LIST, 2 40);

/// The functions that 3.0 added, and `more`.
macro_rules! function_list_3 {
    ($list:ident, $minor:literal $(, $more:ident)*) => {
        function_list!($list, 3 $minor, C_GetInterfaceList, C_GetInterface, C_LoginUser, C_SessionCancel, C_MessageEncryptInit, C_EncryptMessage, C_EncryptMessageBegin, C_EncryptMessageNext, C_MessageEncryptFinal, C_MessageDecryptInit, C_DecryptMessage, C_DecryptMessageBegin, C_DecryptMessageNext, C_MessageDecryptFinal, C_MessageSignInit, C_SignMessage, C_SignMessageBegin, C_SignMessageNext, C_MessageSignFinal, C_MessageVerifyInit, C_VerifyMessage, C_VerifyMessageBegin, C_VerifyMessageNext, C_MessageVerifyFinal $(, $more)*)
    };
}

static FUNCTIONS_3_0: CK_FUNCTION_LIST_3_0 = function_list_3!(CK_FUNCTION_LIST_3_0, 0);

static FUNCTIONS_3_2: CK_FUNCTION_LIST_3_2 = function_list_3!(
    CK_FUNCTION_LIST_3_2,
    2,
    C_EncapsulateKey,
    C_DecapsulateKey,
    C_VerifySignatureInit,
    C_VerifySignature,
    C_VerifySignatureUpdate,
    C_VerifySignatureFinal,
    C_GetSessionValidationFlags,
    C_AsyncComplete,
    C_AsyncGetID,
    C_AsyncJoin,
    C_WrapKeyAuthenticated,
    C_UnwrapKeyAuthenticated
);

const INTERFACE_NAME: &std::ffi::CStr = c"PKCS 11";

/// Interfaces with their versions, the one that is preferred first.
struct Interfaces([(CK_VERSION, CK_INTERFACE); 3]);

// SAFETY: the pointers lead to statics that nothing changes.
unsafe impl Sync for Interfaces {}

static INTERFACES: Interfaces = Interfaces([
    (
        CK_VERSION { major: 3, minor: 2 },
        CK_INTERFACE {
            pInterfaceName: INTERFACE_NAME.as_ptr().cast::<CK_UTF8CHAR>().cast_mut(),
            pFunctionList: (&raw const FUNCTIONS_3_2).cast::<c_void>().cast_mut(),
            flags: 0,
        },
    ),
    (
        CK_VERSION { major: 3, minor: 0 },
        CK_INTERFACE {
            pInterfaceName: INTERFACE_NAME.as_ptr().cast::<CK_UTF8CHAR>().cast_mut(),
            pFunctionList: (&raw const FUNCTIONS_3_0).cast::<c_void>().cast_mut(),
            flags: 0,
        },
    ),
    (
        CK_VERSION { major: 2, minor: 40 },
        CK_INTERFACE {
            pInterfaceName: INTERFACE_NAME.as_ptr().cast::<CK_UTF8CHAR>().cast_mut(),
            pFunctionList: (&raw const FUNCTIONS_2_40).cast::<c_void>().cast_mut(),
            flags: 0,
        },
    ),
]);

fn interfaces() -> [CK_INTERFACE; 3] {
    INTERFACES.0.each_ref().map(|(_, interface)| *interface)
}
