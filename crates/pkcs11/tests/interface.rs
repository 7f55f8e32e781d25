//! The C interface, called as careless programs call it.
#![allow(clippy::unwrap_used, clippy::undocumented_unsafe_blocks, missing_docs)]

use casemate_pkcs11::cryptoki_sys::*;
use casemate_pkcs11::ffi::*;
use std::ptr::{null, null_mut};

/// All in one test: the interface is one per process.
#[test]
fn null_pointers_and_calls_out_of_order() {
    let mut count = 0;
    let mut session = 0;
    // SAFETY, of the whole test: pointers are null or lead to locals of the right type.
    unsafe {
        assert_eq!(C_GetInfo(null_mut()), CKR_CRYPTOKI_NOT_INITIALIZED);
        assert_eq!(C_Finalize(null_mut()), CKR_CRYPTOKI_NOT_INITIALIZED);
        assert_eq!(C_GetFunctionList(null_mut()), CKR_ARGUMENTS_BAD);
        let mut list = null_mut();
        assert_eq!(C_GetFunctionList(&raw mut list), CKR_OK);
        assert_eq!(((*list).version.major, (*list).version.minor), (2, 40));

        assert_eq!(C_GetInterfaceList(null_mut(), &raw mut count), CKR_OK);
        assert_eq!(count, 3);
        let mut interface = null_mut();
        assert_eq!(C_GetInterface(null_mut(), null_mut(), &raw mut interface, 0), CKR_OK);
        let version = (*interface).pFunctionList.cast::<CK_VERSION>().read();
        assert_eq!((version.major, version.minor), (3, 2));
        // Its functions stand where the standard says: those of 3.0 first, then the two of encapsulation.
        let latest = (*interface).pFunctionList;
        let functions = latest.cast::<CK_FUNCTION_LIST_3_2>().read();
        let address = latest.cast::<[usize; 105]>().read();
        assert_eq!(size_of::<CK_FUNCTION_LIST_3_2>(), size_of::<[usize; 105]>());
        assert_eq!(address[1], functions.C_Initialize.unwrap() as *const () as usize);
        assert_eq!(address[69], functions.C_GetInterfaceList.unwrap() as *const () as usize);
        assert_eq!(address[93], functions.C_EncapsulateKey.unwrap() as *const () as usize);
        assert_eq!(address[94], functions.C_DecapsulateKey.unwrap() as *const () as usize);
        assert_eq!(address[104], functions.C_UnwrapKeyAuthenticated.unwrap() as *const () as usize);
        let mut older = CK_VERSION { major: 3, minor: 0 };
        assert_eq!(C_GetInterface(null_mut(), &raw mut older, &raw mut interface, 0), CKR_OK);
        let version = (*interface).pFunctionList.cast::<CK_VERSION>().read();
        assert_eq!((version.major, version.minor), (3, 0));
        let older = (*interface).pFunctionList.cast::<[usize; 93]>().read();
        assert_eq!(older[1..], address[1..93]);
        let mut wanted = CK_VERSION { major: 2, minor: 40 };
        assert_eq!(C_GetInterface(null_mut(), &raw mut wanted, &raw mut interface, 0), CKR_OK);
        assert_eq!((*interface).pFunctionList, list.cast());
        let mut other = *b"Vendor\0";
        assert_eq!(
            C_GetInterface(other.as_mut_ptr(), null_mut(), &raw mut interface, 0),
            CKR_FUNCTION_FAILED
        );

        let mut arguments =
            CK_C_INITIALIZE_ARGS { pReserved: (&raw mut count).cast(), ..CK_C_INITIALIZE_ARGS::default() };
        assert_eq!(C_Initialize((&raw mut arguments).cast()), CKR_ARGUMENTS_BAD);

        // Nothing listens there.
        std::env::set_var("CASEMATE_SERVER", "unix:///does/not/exist");
        // Of many threads, one is the first, with either.
        let one_of_many = |call: fn() -> CK_RV| {
            let outcomes: Vec<CK_RV> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            outcomes.iter().filter(|outcome| **outcome == CKR_OK).count()
        };
        for _ in 0..20 {
            assert_eq!(one_of_many(|| C_Initialize(null_mut())), 1);
            assert_eq!(one_of_many(|| C_Finalize(null_mut())), 1);
        }
        assert_eq!(C_Initialize(null_mut()), CKR_OK);
        assert_eq!(C_Initialize(null_mut()), CKR_CRYPTOKI_ALREADY_INITIALIZED);
        assert_eq!(C_GetInfo(null_mut()), CKR_ARGUMENTS_BAD);
        assert_eq!(C_GetSlotList(CK_FALSE, null_mut(), null_mut()), CKR_ARGUMENTS_BAD);
        assert_eq!(C_GetSlotList(CK_FALSE, null_mut(), &raw mut count), CKR_OK);
        assert_eq!(count, 1);
        assert_eq!(C_GetSlotList(CK_TRUE, null_mut(), &raw mut count), CKR_OK);
        assert_eq!(count, 0);
        let mut token = CK_TOKEN_INFO::default();
        assert_eq!(C_GetTokenInfo(0, &raw mut token), CKR_TOKEN_NOT_PRESENT);
        assert_eq!(C_GetTokenInfo(1, &raw mut token), CKR_SLOT_ID_INVALID);
        assert_eq!(C_OpenSession(0, CKF_SERIAL_SESSION, null_mut(), None, null_mut()), CKR_ARGUMENTS_BAD);
        assert_eq!(
            C_OpenSession(0, CKF_SERIAL_SESSION, null_mut(), None, &raw mut session),
            CKR_TOKEN_NOT_PRESENT
        );

        let mut mechanisms = [0; 2];
        count = 2;
        assert_eq!(C_GetMechanismList(0, mechanisms.as_mut_ptr(), &raw mut count), CKR_BUFFER_TOO_SMALL);
        assert!(count > 50);
        assert_eq!(C_SignInit(7, null_mut(), 1), CKR_SESSION_HANDLE_INVALID);
        assert_eq!(C_Sign(7, null_mut(), 3, null_mut(), &raw mut count), CKR_ARGUMENTS_BAD);
        assert_eq!(C_Sign(7, null_mut(), 0, null_mut(), null_mut()), CKR_ARGUMENTS_BAD);
        // Lengths that nothing has: what they point to is not looked at.
        let here = (&raw mut count).cast();
        let many = CK_ULONG::MAX;
        assert_eq!(C_Login(7, CKU_USER, here, many), CKR_PIN_LEN_RANGE);
        assert_eq!(C_InitPIN(7, here, many), CKR_PIN_LEN_RANGE);
        let mut wrap =
            CK_MECHANISM { mechanism: CKM_AES_KEY_WRAP, pParameter: null_mut(), ulParameterLen: 0 };
        let mut key = 0;
        assert_eq!(
            C_UnwrapKey(7, &raw mut wrap, 1, here, many, null_mut(), 0, &raw mut key),
            CKR_WRAPPED_KEY_LEN_RANGE
        );
        assert_eq!(C_SignUpdate(7, here, many), CKR_SESSION_HANDLE_INVALID);
        let mut kem = CK_MECHANISM { mechanism: CKM_ML_KEM, pParameter: null_mut(), ulParameterLen: 0 };
        assert_eq!(
            C_DecapsulateKey(7, &raw mut kem, 1, null_mut(), 0, here, many, &raw mut key),
            CKR_WRAPPED_KEY_LEN_RANGE
        );
        assert_eq!(
            C_DecapsulateKey(7, &raw mut kem, 1, null_mut(), 0, here, 1, null_mut()),
            CKR_ARGUMENTS_BAD
        );
        assert_eq!(
            C_EncapsulateKey(7, null_mut(), 1, null_mut(), 0, null_mut(), &raw mut key, null_mut()),
            CKR_ARGUMENTS_BAD
        );
        assert_eq!(
            C_EncapsulateKey(7, &raw mut kem, 1, null_mut(), 0, null_mut(), &raw mut key, null_mut()),
            CKR_SESSION_HANDLE_INVALID
        );
        assert_eq!(C_AsyncGetID(7, null_mut(), null_mut()), CKR_FUNCTION_NOT_SUPPORTED);
        assert_eq!(C_VerifyFinal(7, here, many), CKR_SIGNATURE_LEN_RANGE);
        assert_eq!(C_FindObjectsInit(7, null_mut(), 1), CKR_ARGUMENTS_BAD);
        assert_eq!(C_GetAttributeValue(7, 1, null_mut(), 0), CKR_ARGUMENTS_BAD);
        assert_eq!(C_SignRecoverInit(7, null_mut(), 1), CKR_FUNCTION_NOT_SUPPORTED);
        assert_eq!(C_WaitForSlotEvent(CKF_DONT_BLOCK, null_mut(), null_mut()), CKR_NO_EVENT);
        assert_eq!(C_Finalize(null::<u8>().cast_mut().cast()), CKR_OK);
        assert_eq!(C_GetInfo(null_mut()), CKR_CRYPTOKI_NOT_INITIALIZED);
    }
}
