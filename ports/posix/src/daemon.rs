//! The reference server application: one thread for each connection, over one server core.

use crate::LinkError;
use crate::entropy::OsEntropy;
use crate::tcp::{Accepted, Answer, Ended, TcpServer};
#[cfg(feature = "aws-lc")]
use casemate_crypto::Prefer;
use casemate_crypto::{Drbg, Driver, Error as CryptoError, Software};
#[cfg(feature = "aws-lc")]
use casemate_crypto_aws_lc::AwsLc;
use casemate_nvm::ObjectStore;
use casemate_protocol::ClientId;
use casemate_server::{Affinity, CacheShape, HeapCache, Platform, Server, Session, ThreadSafe};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;

/// Address space for the stack of a connection's thread, in bytes. Pages that are never touched cost nothing.
const THREAD_STACK: usize = 4 * 1024 * 1024;

/// The portable software, with a generator that the operating system has seeded.
type Portable = Software<Mutex<Drbg<OsEntropy>>>;

/// The driver that answers clients without a preference for software.
#[cfg(feature = "aws-lc")]
type Accelerated = Prefer<AwsLc, Portable>;
#[cfg(not(feature = "aws-lc"))]
type Accelerated = Portable;

/// The platform of a server process: cryptography with random numbers seeded by the operating system, a lock for
/// threads, caches on the heap.
///
/// With the feature `aws-lc` (on by default) AWS-LC does what it is faster at; clients that ask for software
/// ([`Affinity::Software`]) are served by the portable driver alone.
pub struct PosixPlatform<S> {
    driver: Accelerated,
    store: PhantomData<fn() -> S>,
}

impl<S> PosixPlatform<S> {
    /// A platform whose random generator has just been seeded.
    ///
    /// # Errors
    /// [`CryptoError::Entropy`] if the operating system gives no entropy.
    pub fn new() -> Result<Self, CryptoError> {
        let generator = Drbg::new(OsEntropy, b"casemate server")?;
        let software = Software::new(Mutex::new(generator));
        #[cfg(feature = "aws-lc")]
        let driver = Prefer::new(AwsLc, software);
        #[cfg(not(feature = "aws-lc"))]
        let driver = software;
        Ok(Self { driver, store: PhantomData })
    }

    /// The portable driver.
    fn software(&self) -> &Portable {
        #[cfg(feature = "aws-lc")]
        return self.driver.second();
        #[cfg(not(feature = "aws-lc"))]
        &self.driver
    }
}

impl<S> fmt::Debug for PosixPlatform<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PosixPlatform").finish_non_exhaustive()
    }
}

impl<S: ObjectStore> Platform for PosixPlatform<S> {
    type Store = S;
    type Cache = HeapCache;
    type Lock<T> = ThreadSafe<T>;

    fn crypto(&self, affinity: Affinity) -> &dyn Driver {
        match affinity {
            Affinity::Accelerated => &self.driver,
            Affinity::Software => self.software(),
        }
    }
}

/// Something that an operator may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Connected(SocketAddr),
    /// A client was turned away because the connection limit was reached.
    Refused(SocketAddr),
    /// A connection has ended.
    Ended {
        /// The other end.
        peer: SocketAddr,
        /// Who it was, if it said so.
        client: Option<ClientId>,
        /// Why it ended.
        why: Ended,
    },
    /// A connection could not be accepted or served; the server goes on.
    Failed(LinkError),
    /// No thread could be started for a connection, which was closed; the server goes on.
    NoThread(SocketAddr, io::Error),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(peer) => write!(f, "{peer}: connected"),
            Self::Refused(peer) => {
                write!(f, "{peer}: turned away, the connection limit is reached (see --connections)")
            }
            Self::Ended { peer, client: Some(client), why } => write!(f, "{peer}: client {client}: {why}"),
            Self::Ended { peer, client: None, why } => write!(f, "{peer}: {why}"),
            Self::Failed(error) => error.fmt(f),
            Self::NoThread(peer, error) => write!(f, "{peer}: closed, no thread could be started: {error}"),
        }
    }
}

/// Serves clients until `stop` is set and every connection has ended. A request that has begun when `stop` is set is
/// finished and answered; what was committed is durable by then, as it always is.
///
/// `report` is called from several threads.
pub fn serve<S: ObjectStore + Send>(
    server: &Server<PosixPlatform<S>>,
    listener: &TcpServer,
    cache: CacheShape,
    stop: &AtomicBool,
    report: &(dyn Fn(Event) + Sync),
) {
    thread::scope(|scope| {
        loop {
            let connection = match listener.accept(stop) {
                Ok(Accepted::Connection(connection)) => connection,
                Ok(Accepted::Refused(peer)) => {
                    report(Event::Refused(peer));
                    continue;
                }
                Ok(Accepted::Stopped) => return,
                Err(error) => {
                    report(Event::Failed(error));
                    continue;
                }
            };
            let peer = connection.peer();
            let work = move || {
                report(Event::Connected(peer));
                let mut session = Session::new(HeapCache::new(cache));
                let why = connection.serve(stop, |request, response| {
                    match server.handle(&mut session, request, response) {
                        Ok(reply) if reply.close => Answer::LastResponse(reply.length),
                        Ok(reply) => Answer::Response(reply.length),
                        Err(_) => Answer::Close,
                    }
                });
                report(Event::Ended { peer, client: session.client(), why });
            };
            let builder = thread::Builder::new().name(peer.to_string()).stack_size(THREAD_STACK);
            if let Err(error) = builder.spawn_scoped(scope, work) {
                report(Event::NoThread(peer, error));
            }
        }
    });
}
