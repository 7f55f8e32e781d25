//! What the tests of this project and of its ports build on: simulations, all of them for tests only.
//!
//! * [`flash`]: flash that loses power, or fails, at a chosen operation.
//! * `bridge`: the HSM of a chip on its module's model, with clients in shared memory.
//! * `faults`: flash that lies, a noise source that sticks, a server's transport that repeats or truncates.
//! * `port`: a virtual device whose every part can be spoiled, for firmware.
//! * `power`: power cuts of a driver for data flash over a module's model.
//! * `server`: a whole HSM server in one process, with a predictable random generator.
//! * `transport`: a client transport that loses, delays, repeats and damages packets.

#[cfg(feature = "server")]
pub mod bridge;
#[cfg(feature = "server")]
pub mod faults;
pub mod flash;
#[cfg(feature = "server")]
pub mod port;
#[cfg(feature = "server")]
pub mod power;
mod random;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod transport;
