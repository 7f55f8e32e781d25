//! `casemate she`.

use crate::connection::{Connection, Open};
use crate::value::{Form, Input, read_file, say};
use anyhow::{Context, Result, bail, ensure};
use casemate_client::Direction;
use casemate_client::she::{LoadKeyMessages, SecureBoot, SlotFlags, SlotLabel, slot};
use casemate_crypto::she::{
    Counter, KeyNumber, KeyUpdate, UpdateFlags, UpdateMessages, UpdateProof, WILDCARD_UID, boot_mac_header,
};
use casemate_crypto::{Error as CryptoError, NoRandom, Software, cmac};
use casemate_protocol::ClientId;
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Work with AUTOSAR SHE: updates M1 to M5, secure boot, key slots
///
/// `update` and `boot-mac` compute, and need no server. All others ask one.
///
/// A server does its work once it has an identifier (`set-uid`) and secure boot has ended well (`boot`); both last until
/// it restarts. The RAM key is gone when a command ends, except on servers whose slots belong to all clients.
///
/// Keys are 32 hexadecimal digits, or @FILE: a file with 16 bytes or with the digits. Other users of this machine can
/// see digits on a command line. Slots are numbers or the standard's names: 4 is KEY_1.
#[derive(Args)]
pub(crate) struct She {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make and check the messages M1 to M5
    #[command(subcommand)]
    Update(Update),
    /// Compute the BOOT_MAC of an image
    BootMac {
        /// BOOT_MAC_KEY: 32 hexadecimal digits, or @FILE
        #[arg(long, value_parser = key)]
        key: Key,
        /// The image
        image: PathBuf,
        /// For a server on a big-endian processor
        #[arg(long)]
        big_endian: bool,
    },
    /// Show the status register
    Status {
        #[command(flatten)]
        connection: Connection,
    },
    /// Give the server its unique identifier
    SetUid {
        /// 30 hexadecimal digits
        #[arg(value_parser = uid)]
        uid: [u8; 15],
        #[command(flatten)]
        connection: Connection,
    },
    /// Carry out secure boot with an image
    Boot {
        /// The image
        image: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Load a key with M1 to M3, and print M4 and M5
    LoadKey {
        #[command(flatten)]
        messages: Messages,
        #[command(flatten)]
        style: Style,
        #[command(flatten)]
        connection: Connection,
    },
    /// Load the RAM key and export it as M1 to M5, in one session
    ExportRamKey {
        /// The key: 32 hexadecimal digits, or @FILE
        #[arg(value_parser = key)]
        key: Key,
        #[command(flatten)]
        style: Style,
        #[command(flatten)]
        connection: Connection,
    },
    /// Load the RAM key as it is; of use where all clients share the slots
    LoadPlainKey {
        /// The key: 32 hexadecimal digits, or @FILE
        #[arg(value_parser = key)]
        key: Key,
        #[command(flatten)]
        connection: Connection,
    },
    /// Print 16 random bytes of SHE's generator
    Random {
        /// Start the generator first
        #[arg(long)]
        init: bool,
        /// Mix these 16 bytes in before: 32 hexadecimal digits, or @FILE
        #[arg(long, value_name = "DIGITS", value_parser = key)]
        extend: Option<Key>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Encrypt whole blocks
    Encrypt(Cipher),
    /// Decrypt whole blocks
    Decrypt(Cipher),
    /// Print the CMAC of a message
    Mac {
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        connection: Connection,
    },
    /// Check the CMAC of a message
    VerifyMac {
        /// The CMAC: 8 to 32 hexadecimal digits
        #[arg(long, value_parser = bytes)]
        mac: Bytes,
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        input: Input,
        #[command(flatten)]
        connection: Connection,
    },
    /// Place a key in a slot, past all checks
    Provision {
        /// The slot
        #[arg(value_parser = slot_number)]
        slot: u8,
        /// The key: 32 hexadecimal digits, or @FILE
        #[arg(value_parser = key)]
        key: Key,
        /// Its counter
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=0x0FFF_FFFF))]
        counter: u32,
        /// No update can replace it
        #[arg(long)]
        write_protect: bool,
        /// It takes updates for any identifier
        #[arg(long)]
        wildcard: bool,
        /// The server's slots belong to all clients
        #[arg(long)]
        global: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Empty slots
    Remove {
        /// The slots
        #[arg(required = true, value_parser = slot_number)]
        slots: Vec<u8>,
        /// The server's slots belong to all clients
        #[arg(long)]
        global: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Make and check the messages that carry a key to a server, and the server's proof.
#[derive(Subcommand)]
enum Update {
    /// Print M1 to M5 for a new key
    ///
    /// M1 to M3 are what `casemate she load-key` takes, also from a pipe; M4 and M5 are what the server has to answer.
    Make {
        /// The server's unique identifier: 30 hexadecimal digits; all zeros for any server
        #[arg(long, value_parser = uid)]
        uid: [u8; 15],
        /// The slot of the new key
        #[arg(long, value_parser = update_slot)]
        slot: KeyNumber,
        /// The slot whose key authorizes the update
        #[arg(long, value_name = "SLOT", default_value = "MASTER_ECU_KEY", value_parser = update_slot)]
        authorizing_slot: KeyNumber,
        /// The key in that slot: 32 hexadecimal digits, or @FILE
        #[arg(long, value_name = "KEY", value_parser = key)]
        authorizing_key: Key,
        /// The new key: 32 hexadecimal digits, or @FILE
        #[arg(long, value_parser = key)]
        key: Key,
        /// The new key's counter: higher than the present one's, at most 268435455
        #[arg(long, value_parser = clap::value_parser!(u32).range(0..=0x0FFF_FFFF))]
        counter: u32,
        /// Flags of the standard, separated by commas: write-protection, boot-protection, debugger-protection,
        /// key-usage, wildcard. Servers of wolfHSM read two of them otherwise; for these write
        /// original-write-protect and original-wildcard
        #[arg(long, value_name = "LIST", default_value = "none", value_parser = update_flags)]
        flags: UpdateFlags,
        /// Where M1 is for any server: the identifier for M4
        #[arg(long, value_name = "UID", value_parser = uid)]
        proof_uid: Option<[u8; 15]>,
        #[command(flatten)]
        style: Style,
    },
    /// Check M1 to M3, and M4 and M5 if they are given, and show what they say
    Check {
        /// The key that authorizes the update: 32 hexadecimal digits, or @FILE
        #[arg(long, value_name = "KEY", value_parser = key)]
        authorizing_key: Key,
        #[command(flatten)]
        messages: Messages,
        /// M4, 64 hexadecimal digits
        #[arg(long, value_parser = bytes)]
        m4: Option<Bytes>,
        /// M5, 32 hexadecimal digits
        #[arg(long, value_parser = bytes)]
        m5: Option<Bytes>,
        /// Where M1 is for any server: the identifier for M4
        #[arg(long, value_name = "UID", value_parser = uid)]
        proof_uid: Option<[u8; 15]>,
        /// Show the new key too
        #[arg(long)]
        show_key: bool,
    },
}

/// M1 to M3: three options, or text with `M1=...` and so on, as `update make` prints it.
#[derive(Args)]
struct Messages {
    /// M1, 32 hexadecimal digits
    #[arg(long, value_parser = bytes, requires_all = ["m2", "m3"])]
    m1: Option<Bytes>,
    /// M2, 64 hexadecimal digits
    #[arg(long, value_parser = bytes, requires = "m1")]
    m2: Option<Bytes>,
    /// M3, 32 hexadecimal digits
    #[arg(long, value_parser = bytes, requires = "m1")]
    m3: Option<Bytes>,
    /// Read M1 to M3 from a file in any form that `update make` prints [default: standard input]
    #[arg(long, value_name = "FILE", conflicts_with = "m1")]
    messages: Option<PathBuf>,
}

/// How messages are printed.
#[derive(Args, Clone, Copy)]
struct Style {
    /// The form of the output
    #[arg(long, value_enum, default_value_t = StyleName::Lines)]
    format: StyleName,
}

#[derive(Clone, Copy, ValueEnum)]
enum StyleName {
    /// M1=... on a line of its own, and so on
    Lines,
    /// A JSON object
    Json,
    /// Arrays of C
    C,
}

/// Which slot.
#[derive(Args)]
struct With {
    /// The slot
    #[arg(long, value_parser = slot_number)]
    slot: u8,
    /// Load this RAM key first: 32 hexadecimal digits, or @FILE
    #[arg(long, value_name = "KEY", value_parser = key)]
    ram_key: Option<Key>,
}

#[derive(Args)]
struct Cipher {
    #[command(flatten)]
    with: With,
    /// Use CBC with this initialisation vector of 32 hexadecimal digits; without it, ECB
    #[arg(long, value_parser = key)]
    iv: Option<Key>,
    #[command(flatten)]
    input: Input,
    /// Write the bytes to a file, instead of digits to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// A key, a block.
#[derive(Clone)]
struct Key(Zeroizing<[u8; 16]>);

/// Bytes in hexadecimal.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn exactly<const N: usize>(&self, name: &str) -> Result<[u8; N]> {
        let length = self.0.len();
        <[u8; N]>::try_from(&*self.0)
            .ok()
            .with_context(|| format!("{name} has {length} bytes; it must have {N} ({} digits)", 2 * N))
    }
}

fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let digits: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect());
    hex::decode(&*digits)
        .map(Zeroizing::new)
        .map_err(|_| "write an even number of the digits 0 to 9 and a to f".to_owned())
}

fn bytes(text: &str) -> Result<Bytes, String> {
    digits(text).map(|bytes| Bytes(bytes.to_vec()))
}

fn key(text: &str) -> Result<Key, String> {
    let bytes = match text.strip_prefix('@') {
        None => digits(text)?,
        Some(path) => {
            let content = read_file(Path::new(path)).map_err(|error| format!("{error:#}"))?;
            match std::str::from_utf8(&content) {
                Ok(text) if content.len() != 16 => digits(text)?,
                _ => content,
            }
        }
    };
    let length = bytes.len();
    let block = <[u8; 16]>::try_from(&**bytes);
    let block = block.map_err(|_| format!("it has {length} bytes; 16 are needed (32 digits)"))?;
    Ok(Key(Zeroizing::new(block)))
}

fn uid(text: &str) -> Result<[u8; 15], String> {
    let bytes = digits(text)?;
    <[u8; 15]>::try_from(&**bytes)
        .map_err(|_| format!("an identifier has 15 bytes (30 digits), not {}", bytes.len()))
}

/// A slot by number or by name.
fn slot_number(text: &str) -> Result<u8, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    if let Some(number) = (0..=15).find(|&number| slot::name(number) == Some(&name)) {
        return Ok(number);
    }
    crate::value::byte(text).map_err(|_| {
        "write a slot's number, or SECRET_KEY, MASTER_ECU_KEY, BOOT_MAC_KEY, BOOT_MAC, KEY_1 to KEY_10, RAM_KEY, \
         PRNG_SEED"
            .to_owned()
    })
}

fn update_slot(text: &str) -> Result<KeyNumber, String> {
    KeyNumber::new(slot_number(text)?).ok_or_else(|| "an update knows the slots 0 to 15".to_owned())
}

const FLAGS: [(&str, UpdateFlags); 7] = [
    ("write-protection", UpdateFlags::WRITE_PROTECTION),
    ("boot-protection", UpdateFlags::BOOT_PROTECTION),
    ("debugger-protection", UpdateFlags::DEBUGGER_PROTECTION),
    ("key-usage", UpdateFlags::KEY_USAGE),
    ("wildcard", UpdateFlags::WILDCARD),
    // What the original's server makes of two of them (document 06, §2).
    ("original-write-protect", UpdateFlags::WILDCARD),
    ("original-wildcard", UpdateFlags::KEY_USAGE),
];

fn update_flags(text: &str) -> Result<UpdateFlags, String> {
    let mut flags = UpdateFlags::NONE;
    for word in text.split(',').map(str::trim).filter(|word| !matches!(*word, "" | "none")) {
        let known = FLAGS.iter().find(|(name, _)| *name == word);
        let (_, flag) = known.ok_or_else(|| {
            let names: Vec<_> = FLAGS.iter().map(|(name, _)| *name).collect();
            format!("`{word}` is no flag of an update; there are {} and none", names.join(", "))
        })?;
        flags = flags | *flag;
    }
    Ok(flags)
}

fn flag_text(flags: UpdateFlags) -> String {
    let names: Vec<_> =
        FLAGS.iter().take(5).filter(|(_, flag)| flags.contains(*flag)).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

fn slot_text(number: KeyNumber) -> String {
    format!("{} ({})", number.get(), slot::name(number.get()).unwrap_or("no name"))
}

fn driver() -> Software<NoRandom> {
    Software::new(NoRandom)
}

impl Style {
    fn print(self, messages: &[(&str, &[u8])]) -> Result<()> {
        match self.format {
            StyleName::Lines => messages.iter().try_for_each(|(name, bytes)| {
                say(format_args!("{}={}", name.to_uppercase(), hex::encode(bytes)))
            }),
            StyleName::Json => {
                let fields =
                    messages.iter().map(|(name, bytes)| ((*name).to_owned(), hex::encode(bytes).into()));
                say(serde_json::Value::Object(fields.collect()))
            }
            StyleName::C => messages.iter().try_for_each(|(name, bytes)| {
                let bytes: Vec<_> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
                say(format_args!(
                    "static const uint8_t {name}[{}] = {{\n    {}\n}};",
                    bytes.len(),
                    bytes.chunks(16).map(|line| line.join(", ")).collect::<Vec<_>>().join(",\n    ")
                ))
            }),
        }
    }
}

/// The value of `name` in text of any form that this command prints.
fn find(text: &str, name: &str) -> Option<Bytes> {
    let mut rest = text.split_once(name)?.1;
    // C: the number of bytes comes first.
    if let Some(after) = rest.strip_prefix('[') {
        rest = after.split_once('{')?.1;
        let end = rest.find('}')?;
        let digits: String = rest.get(..end)?.replace("0x", "").replace(',', " ");
        return bytes(&digits).ok();
    }
    let start = rest.find(|c: char| c.is_ascii_hexdigit())?;
    let rest = rest.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    bytes(rest.get(..end)?).ok()
}

/// M1 to M3, and what else the text held.
struct Given {
    load: UpdateMessages,
    m4: Option<Bytes>,
    m5: Option<Bytes>,
}

impl Messages {
    fn read(&self) -> Result<Given> {
        if let (Some(m1), Some(m2), Some(m3)) = (&self.m1, &self.m2, &self.m3) {
            return Ok(Given { load: update_messages(m1, m2, m3)?, m4: None, m5: None });
        }
        let text = match &self.messages {
            Some(path) => String::from_utf8_lossy(&read_file(path)?).into_owned(),
            None => {
                let mut input = io::stdin();
                if input.is_terminal() {
                    bail!(
                        "no messages: give --m1, --m2 and --m3, or --messages, or pipe them into this command"
                    );
                }
                let mut text = String::new();
                input
                    .by_ref()
                    .take(65_536)
                    .read_to_string(&mut text)
                    .context("cannot read standard input")?;
                text
            }
        };
        let text = text.to_ascii_lowercase();
        let required = |name| find(&text, name).with_context(|| format!("there is no `{name}` in the text"));
        let load = update_messages(&required("m1")?, &required("m2")?, &required("m3")?)?;
        Ok(Given { load, m4: find(&text, "m4"), m5: find(&text, "m5") })
    }
}

fn update_messages(m1: &Bytes, m2: &Bytes, m3: &Bytes) -> Result<UpdateMessages> {
    Ok(UpdateMessages { m1: m1.exactly("M1")?, m2: m2.exactly("M2")?, m3: m3.exactly("M3")? })
}

impl Update {
    fn run(&self) -> Result<()> {
        match self {
            Self::Make {
                uid,
                slot,
                authorizing_slot,
                authorizing_key,
                key,
                counter,
                flags,
                proof_uid,
                style,
            } => {
                let update = KeyUpdate {
                    uid: *uid,
                    key: *slot,
                    authorizing_key: *authorizing_slot,
                    counter: Counter::new(*counter).context("the counter has 28 bits")?,
                    flags: *flags,
                };
                let UpdateMessages { m1, m2, m3 } = update.seal(&driver(), &authorizing_key.0, &key.0)?;
                let mut messages: Vec<(&str, &[u8])> = vec![("m1", &m1), ("m2", &m2), ("m3", &m3)];
                let proof = match proof_uid.or((*uid != WILDCARD_UID).then_some(*uid)) {
                    Some(uid) => Some(update.prove(&driver(), &uid, &key.0)?),
                    None => {
                        eprintln!(
                            "note: M4 and M5 depend on the server's identifier; name it with --proof-uid to get them"
                        );
                        None
                    }
                };
                if let Some(UpdateProof { m4, m5 }) = &proof {
                    messages.extend([("m4", &m4[..]), ("m5", &m5[..])]);
                }
                style.print(&messages)
            }
            Self::Check { authorizing_key, messages, m4, m5, proof_uid, show_key } => {
                let given = messages.read()?;
                let (update, key) = match given.load.open(&driver(), &authorizing_key.0) {
                    Ok(opened) => opened,
                    Err(CryptoError::Authentication) => bail!(
                        "M3 does not match M1 and M2 under this key: they were changed, or another key authorizes \
                         them (M1 says slot {})",
                        slot_text(given.load.authorizing_key())
                    ),
                    Err(error) => return Err(error.into()),
                };
                let is_wildcard = update.uid == WILDCARD_UID;
                let note = if is_wildcard { " (any server)" } else { "" };
                say(format_args!("UID               {}{note}", hex::encode(update.uid)))?;
                say(format_args!("Slot              {}", slot_text(update.key)))?;
                say(format_args!("Authorizing slot  {}", slot_text(update.authorizing_key)))?;
                say(format_args!("Counter           {}", update.counter.get()))?;
                say(format_args!("Flags             {}", flag_text(update.flags)))?;
                if *show_key {
                    say(format_args!("Key               {}", hex::encode(*key)))?;
                }
                say("M3                matches")?;
                let Some(uid) = proof_uid.or((!is_wildcard).then_some(update.uid)) else { return Ok(()) };
                let proof = update.prove(&driver(), &uid, &key)?;
                let claims = [
                    ("M4", m4.as_ref().or(given.m4.as_ref()), &proof.m4[..]),
                    ("M5", m5.as_ref().or(given.m5.as_ref()), &proof.m5[..]),
                ];
                for (name, claimed, expected) in claims {
                    match claimed {
                        None => say(format_args!("{name} should be      {}", hex::encode(expected)))?,
                        Some(claimed) if claimed.0 == expected => {
                            say(format_args!("{name}                matches"))?;
                        }
                        Some(claimed) => bail!(
                            "{name} is {}, but a server that took this key answers {}",
                            hex::encode(&claimed.0),
                            hex::encode(expected)
                        ),
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whose slots they are.
fn owner(global: bool, connection: &Connection) -> ClientId {
    if global { ClientId::NONE } else { connection.client }
}

impl With {
    /// Loads the RAM key, if there is one to load.
    fn prepare(&self, hsm: &mut Open) -> Result<()> {
        match &self.ram_key {
            Some(key) => hsm.she_load_plain_key(&key.0).context("the RAM key"),
            None => Ok(()),
        }
    }

    fn failed(&self) -> String {
        format!("slot {}", slot::name(self.slot).map_or(self.slot.to_string(), ToOwned::to_owned))
    }
}

impl Cipher {
    fn run(&self, direction: Direction) -> Result<()> {
        let mut data = self.input.read()?;
        ensure!(
            data.len().is_multiple_of(16),
            "the data has {} bytes, which is not a whole number of blocks; pad it to a multiple of 16",
            data.len()
        );
        let mut hsm = self.connection.open()?;
        self.with.prepare(&mut hsm)?;
        let slot = self.with.slot;
        match &self.iv {
            None => hsm.she_ecb(direction, slot, &mut data),
            Some(iv) => hsm.she_cbc(direction, slot, &mut iv.0.clone(), &mut data),
        }
        .with_context(|| self.with.failed())?;
        hsm.close()?;
        Form::default().write(&data, self.out.as_deref(), true)
    }
}

impl She {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Update(update) => update.run(),
            Action::BootMac { key, image, big_endian } => {
                let image = read_image(image)?;
                let length = u32::try_from(image.len()).context("an image has less than 4 GiB")?;
                let length = if *big_endian { length.to_be_bytes() } else { length.to_le_bytes() };
                let mut mac = [0; 16];
                cmac(&driver(), key.0.as_slice(), &[&boot_mac_header(length), &image], &mut mac)?;
                say(hex::encode(mac))
            }
            Action::Status { connection } => {
                let mut hsm = connection.open()?;
                let register = hsm.she_status()?;
                hsm.close()?;
                say(format_args!("{:#04x} {register}", register.0))
            }
            Action::SetUid { uid, connection } => {
                let mut hsm = connection.open()?;
                hsm.she_set_uid(*uid).context("the server may have an identifier already")?;
                hsm.close()
            }
            Action::Boot { image, connection } => {
                let image = read_image(image)?;
                let mut hsm = connection.open()?;
                let outcome = hsm.she_secure_boot(&image).context("secure boot")?;
                hsm.close()?;
                say(match outcome {
                    SecureBoot::Verified => "verified",
                    SecureBoot::NotConfigured => {
                        "not configured: the server has no boot MAC key and checks nothing"
                    }
                })
            }
            Action::LoadKey { messages, style, connection } => {
                let given = messages.read()?;
                let UpdateMessages { m1, m2, m3 } = given.load;
                let mut hsm = connection.open()?;
                let proof = hsm
                    .she_load_key(&LoadKeyMessages { m1, m2, m3 })
                    .with_context(|| format!("slot {}", slot_text(given.load.key())))?;
                hsm.close()?;
                style.print(&[("m4", &proof.m4), ("m5", &proof.m5)])?;
                for (name, expected, found) in
                    [("M4", &given.m4, &proof.m4[..]), ("M5", &given.m5, &proof.m5[..])]
                {
                    ensure!(
                        expected.as_ref().is_none_or(|expected| expected.0 == found),
                        "the key was loaded, but {name} is not the one that came with the messages"
                    );
                }
                Ok(())
            }
            Action::ExportRamKey { key, style, connection } => {
                let mut hsm = connection.open()?;
                hsm.she_load_plain_key(&key.0)?;
                let exported = hsm.she_export_ram_key().context("the RAM key")?;
                hsm.close()?;
                let (load, proof) = (exported.load, exported.proof);
                style.print(&[
                    ("m1", &load.m1),
                    ("m2", &load.m2),
                    ("m3", &load.m3),
                    ("m4", &proof.m4),
                    ("m5", &proof.m5),
                ])
            }
            Action::LoadPlainKey { key, connection } => {
                let mut hsm = connection.open()?;
                hsm.she_load_plain_key(&key.0)?;
                hsm.close()
            }
            Action::Random { init, extend, connection } => {
                let mut hsm = connection.open()?;
                if *init {
                    hsm.she_random_init().context("starting the generator")?;
                }
                if let Some(entropy) = extend {
                    hsm.she_extend_seed(*entropy.0).context("mixing in")?;
                }
                let random = hsm.she_random().context("start the generator with --init, once")?;
                hsm.close()?;
                say(hex::encode(random))
            }
            Action::Encrypt(cipher) => cipher.run(Direction::Encrypt),
            Action::Decrypt(cipher) => cipher.run(Direction::Decrypt),
            Action::Mac { with, input, connection } => {
                let message = input.read()?;
                let mut hsm = connection.open()?;
                with.prepare(&mut hsm)?;
                let mac = hsm.she_mac(with.slot, &message).with_context(|| with.failed())?;
                hsm.close()?;
                say(hex::encode(mac))
            }
            Action::VerifyMac { mac, with, input, connection } => {
                let message = input.read()?;
                let mut hsm = connection.open()?;
                with.prepare(&mut hsm)?;
                hsm.she_verify_mac(with.slot, &message, &mac.0).with_context(|| with.failed())?;
                hsm.close()?;
                say("matches")
            }
            Action::Provision { slot, key, counter, write_protect, wildcard, global, connection } => {
                let mut flags = SlotFlags::NONE;
                for (wanted, flag) in
                    [(write_protect, SlotFlags::WRITE_PROTECT), (wildcard, SlotFlags::WILDCARD)]
                {
                    if *wanted {
                        flags = flags.with(flag);
                    }
                }
                let mut hsm = connection.open()?;
                let label = SlotLabel { counter: *counter, flags };
                hsm.she_provision(owner(*global, connection), *slot, label, &key.0)
                    .with_context(|| format!("slot {slot}"))?;
                hsm.close()
            }
            Action::Remove { slots, global, connection } => {
                let mut hsm = connection.open()?;
                for slot in slots {
                    hsm.she_remove(owner(*global, connection), *slot)
                        .with_context(|| format!("slot {slot}"))?;
                }
                hsm.close()
            }
        }
    }
}

fn read_image(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_flags_by_name() {
        assert_eq!(slot_number("master-ecu-key"), Ok(1));
        assert_eq!(slot_number("KEY_10"), Ok(13));
        assert_eq!(slot_number("0x0e"), Ok(14));
        assert!(slot_number("KEY_11").is_err());
        assert!(update_slot("16").is_err());
        let flags = update_flags("write-protection, key-usage").unwrap();
        assert_eq!(flag_text(flags), "write-protection,key-usage");
        assert_eq!(update_flags("original-write-protect"), Ok(UpdateFlags::WILDCARD));
        assert!(update_flags("wildcart").unwrap_err().contains("original-wildcard"));
    }

    #[test]
    fn messages_are_found_in_every_form() {
        for text in [
            "m1=0102\nm2=0304",
            "{\"m1\":\"0102\",\"m2\":\"0304\"}",
            "static const uint8_t m1[2] = {\n 0x01, 0x02\n};\nstatic const uint8_t m2[2] = { 0x03,\n0x04 };",
            "m1: 0102, m2: 0304",
        ] {
            assert_eq!(find(text, "m1").map(|bytes| bytes.0), Some(vec![1, 2]), "{text}");
            assert_eq!(find(text, "m2").map(|bytes| bytes.0), Some(vec![3, 4]), "{text}");
            assert!(find(text, "m3").is_none());
        }
    }

    #[test]
    fn keys_in_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let argument = format!("@{}", path.display());
        std::fs::write(&path, "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n").unwrap();
        assert_eq!(key(&argument).ok().map(|key| key.0[15]), Some(15));
        std::fs::write(&path, b"sixteen bytes !!").unwrap();
        assert_eq!(key(&argument).ok().map(|key| *key.0), Some(*b"sixteen bytes !!"));
        std::fs::write(&path, b"too short").unwrap();
        assert!(key(&argument).is_err());
        assert!(key("0011").err().unwrap().contains("2 bytes"));
    }
}
