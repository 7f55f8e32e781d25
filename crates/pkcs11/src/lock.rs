//! How mutexes are locked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What a panic left behind is whole: nothing in this crate is changed in steps that a panic could part.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
