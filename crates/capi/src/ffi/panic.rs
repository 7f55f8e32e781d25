//! What becomes of a panic.

/// The outcome of `work`, or nothing if it panicked.
#[cfg(feature = "std")]
pub(super) fn contained<R>(work: impl FnOnce() -> R) -> Option<R> {
    // What a panic leaves half done is the caller's buffers, and a client that is not entered again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// The outcome of `work`; a panic stops the program.
#[cfg(not(feature = "std"))]
pub(super) fn contained<R>(work: impl FnOnce() -> R) -> Option<R> {
    Some(work())
}
