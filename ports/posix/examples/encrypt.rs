//! Encrypts a message with a key that never leaves the server. Start one first: `casemate serve --nvm ram`.

use casemate_client::{Client, Key, NewKey};
use casemate_posix::MonotonicClock;
use casemate_posix::tcp::TcpClientTransport;
use casemate_protocol::{ClientId, Flags, KeyId};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let packet = 8 + 8192;
    let limit = Duration::from_secs(5);
    let transport = TcpClientTransport::connect("127.0.0.1:23456", packet, limit)?;
    let mut client = Client::with_timeout(transport, vec![0; packet], MonotonicClock::new(), limit);
    client.init(ClientId::new(12).ok_or("a client identifier is 1 to 15")?)?;

    let flags = Flags::USAGE_ENCRYPT | Flags::USAGE_DECRYPT | Flags::NONEXPORTABLE;
    let key = client.key_cache_random(&NewKey { id: KeyId::NONE, flags, label: "example".into() }, 32)?;

    let nonce = [7; 12];
    let mut message = *b"a message";
    let mut tag = [0; 16];
    client.aes_gcm_encrypt(Key::Id(key), &nonce, b"header", &mut message, &mut tag)?;
    client.aes_gcm_decrypt(Key::Id(key), &nonce, b"header", &mut message, &tag)?;
    assert_eq!(&message, b"a message");
    client.close()?;
    Ok(())
}
