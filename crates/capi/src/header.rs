//! The header `include/casemate.h`, as the tables and structures say it is. `CASEMATE_WRITE_HEADER=1 cargo test -p
//! casemate-capi header` writes it; without, the test fails if the file differs.

use crate::calls::GROUPS;
use crate::calls::VERSION;
use crate::ffi::Object;
use crate::ffi::{Call, KeyArgument, Options, PacketFunctions, StateOf, StreamFunctions, TlsFileNames};
use crate::status::{Entry, OWN, SERVER};
use crate::types::{BITS, CHOICES, STRUCTURES};
use casemate_client::{Hash, Hmac};
use casemate_protocol::MAX_DATA_LENGTH;
use core::fmt::Write;
use core::mem::offset_of;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

const INTRODUCTION: &str = r#"/* casemate.h: the HSM client for C programs (C99 and C++). The guide is docs/c-api.md.
 *
 * Made from the source of crates/capi; do not edit: CASEMATE_WRITE_HEADER=1 cargo test -p casemate-capi header
 *
 * Every call returns a casemate_status: CASEMATE_OK, or what went wrong; casemate_status_text tells it in words. A
 * length that is a pointer (size_t *) says before the call how many bytes there is room for, and afterwards how many
 * there are; with CASEMATE_BUFFER_TOO_SMALL, how many there would be. Other lengths say exactly how many there are. A
 * pointer may be null where its length is 0, and where that is said.
 *
 * A client, a hash and an HMAC are for one thread at a time; several of them are independent of each other. None may be
 * copied or moved while it is in use.
 *
 * Licence: MIT OR Apache-2.0.
 */
#ifndef CASEMATE_H
#define CASEMATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

"#;

const HANDLES: &str = r#"/* ----- Memory ----- */

/* A packet data length in bytes that suits all messages but those of ML-DSA and large RSA and ML-KEM keys. */
#define CASEMATE_DEFAULT_DATA_LENGTH 1280
/* Size of a packet buffer for a packet data length, in bytes. */
#define CASEMATE_PACKET_SIZE(data_length) ((data_length) + 8)
/* The largest packet buffer that is of use, in bytes. */
#define CASEMATE_PACKET_SIZE_MAX CASEMATE_PACKET_SIZE(65000)

"#;

const KEYS: &str = r#"/* ----- Keys as arguments ----- */

/** A key that the server holds (id), or the bytes of one (bytes and length), which travel with each request. */
typedef struct casemate_key {
    const uint8_t *bytes;
    size_t length;
    casemate_key_id id;
} casemate_key;

/** The server's key `id`. */
static inline casemate_key casemate_key_named(casemate_key_id id)
{
    casemate_key key = { NULL, 0, 0 };
    key.id = id;
    return key;
}

/** A key of the caller's. Whoever sees the channel sees it. */
static inline casemate_key casemate_key_inline(const uint8_t *bytes, size_t length)
{
    casemate_key key = { NULL, 0, 0 };
    key.bytes = bytes;
    key.length = length;
    return key;
}

static inline casemate_pair casemate_pair_of(uint32_t family, uint32_t parameter, uint32_t exponent)
{
    casemate_pair pair = { 0, 0, 0 };
    pair.family = family;
    pair.parameter = parameter;
    pair.exponent = exponent;
    return pair;
}

/** RSA keys with the exponent 65537. */
static inline casemate_pair casemate_pair_rsa(uint32_t bits)
{
    return casemate_pair_of(CASEMATE_FAMILY_RSA, bits, 65537);
}

/** Keys on an elliptic curve. */
static inline casemate_pair casemate_pair_ec(casemate_curve curve)
{
    return casemate_pair_of(CASEMATE_FAMILY_EC, curve, 0);
}

/** X25519 keys. */
static inline casemate_pair casemate_pair_x25519(void)
{
    return casemate_pair_of(CASEMATE_FAMILY_X25519, 0, 0);
}

/** Ed25519 keys. */
static inline casemate_pair casemate_pair_ed25519(void)
{
    return casemate_pair_of(CASEMATE_FAMILY_ED25519, 0, 0);
}

/** ML-DSA keys. */
static inline casemate_pair casemate_pair_ml_dsa(casemate_ml_dsa parameters)
{
    return casemate_pair_of(CASEMATE_FAMILY_ML_DSA, parameters, 0);
}

/** ML-KEM keys. */
static inline casemate_pair casemate_pair_ml_kem(casemate_ml_kem parameters)
{
    return casemate_pair_of(CASEMATE_FAMILY_ML_KEM, parameters, 0);
}

/* ----- Transports ----- */

/** Files behind a tls:// address, in PEM, or one certificate or key in DER. Each name may be null, but not `trust`. */
typedef struct casemate_tls_files {
    /** The certificates to trust, of certificate authorities or the server's own. */
    const char *trust;
    /** The certificate to show, and after it those that lead to the server's trust; with `key`. */
    const char *certificate;
    /** The private key of `certificate`. */
    const char *key;
    /** The name in the server's certificate; null for the host of the address. */
    const char *server_name;
} casemate_tls_files;

/** What a client needs besides its transport. All zeros, or a null pointer instead, will do. */
typedef struct casemate_options {
    /** How long a request may take; 0 waits as long as it takes. */
    uint32_t timeout_milliseconds;
    /** Passed to `now` and `wait`. */
    void *context;
    /** Microseconds since any fixed moment, never less than before. Null: the operating system's clock, or none on a
     *  device, where no timeout expires then. */
    uint64_t (*now)(void *context);
    /** Called while nothing has come; returns when something may have, at the latest after so many microseconds.
     *  Null: a short sleep, or none on a device, which then asks again and again. */
    void (*wait)(void *context, uint32_t microseconds);
    /** For tls:// addresses, else null. */
    const casemate_tls_files *tls;
} casemate_options;

/** Functions that move whole packets. None of them waits, and none of them calls this library with the same client. */
typedef struct casemate_transport {
    /** Passed to each. */
    void *context;
    /** Takes over a packet. CASEMATE_OK; CASEMATE_NOT_READY if it has to be offered again; CASEMATE_CLOSED; any other
     *  status for a failure. */
    casemate_status (*send)(void *context, const uint8_t *packet, size_t length);
    /** Writes the next packet, of at most `*length` bytes, and its length. CASEMATE_NOT_READY if none has come. */
    casemate_status (*receive)(void *context, uint8_t *packet, size_t *length);
    /** Called when the client is released; may be null. */
    void (*close)(void *context);
} casemate_transport;

/** Functions that move bytes. `write` may wait until all bytes are out, the others do not. */
typedef struct casemate_stream {
    /** Passed to each. */
    void *context;
    /** Sends all of these bytes. */
    casemate_status (*write)(void *context, const uint8_t *bytes, size_t length);
    /** Writes what bytes have come, at most `*length`, and how many. CASEMATE_NOT_READY, or 0 bytes, if none. */
    casemate_status (*read)(void *context, uint8_t *bytes, size_t *length);
    /** Called when the client is released; may be null. */
    void (*close)(void *context);
} casemate_stream;

"#;

const END: &str = r#"#ifdef __cplusplus
}
#endif

#endif
"#;

fn comment(text: &mut String, lines: &[&str], indent: &str) {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    writeln!(text, "{indent}/** {} */", lines.join(&std::format!("\n{indent} *  "))).unwrap();
}

fn heading(text: &mut String, title: &str) {
    writeln!(text, "/* ----- {title} ----- */\n").unwrap();
}

fn statuses(text: &mut String) {
    heading(text, "Status");
    text.push_str("/** How a call ended: 0 for success, positive numbers for no failure, negative ones for failures. */\n");
    text.push_str("typedef int32_t casemate_status;\n\n");
    let list = |text: &mut String, title: &str, entries: &[Entry]| {
        writeln!(text, "/* {title} */\nenum {{").unwrap();
        for (index, Entry { name, code, text: meaning }) in entries.iter().enumerate() {
            let comma = if index + 1 < entries.len() { "," } else { "" };
            writeln!(text, "    /* {}. */\n    {name} = {code}{comma}", meaning.trim_end_matches('\0'))
                .unwrap();
        }
        text.push_str("};\n\n");
    };
    list(text, "Of this library.", OWN);
    list(text, "Of the server, as they cross the wire. It may send others.", SERVER);
}

fn numbers(text: &mut String) {
    heading(text, "Identifiers, flags and choices");
    text.push_str("/** A key's identifier: its number in the low byte, 0 for none, and flags. */\n");
    text.push_str("typedef uint16_t casemate_key_id;\n");
    text.push_str(
        "/** An object's identifier as the server stores it: a casemate_object_type in bits 15 to 12, the owner's client number\n\
         \x20*  (0 for all clients) in bits 11 to 8, the object's number in bits 7 to 0. Plain object 42 is 42. */\n",
    );
    text.push_str("typedef uint16_t casemate_object_id;\n\n");
    for (title, entries) in BITS {
        writeln!(text, "/* {title} */").unwrap();
        for (name, bit, meaning) in *entries {
            writeln!(text, "#define {name} 0x{bit:04X}u /* {meaning} */").unwrap();
        }
        text.push('\n');
    }
    for choice in CHOICES {
        comment(text, choice.documentation, "");
        writeln!(text, "typedef uint32_t {};\nenum {{", choice.name).unwrap();
        for (index, (name, number, meaning)) in choice.entries.iter().enumerate() {
            let comma = if index + 1 < choice.entries.len() { "," } else { "" };
            writeln!(text, "    {name} = {number}{comma} /* {meaning} */").unwrap();
        }
        text.push_str("};\n\n");
    }
}

fn structures(text: &mut String) {
    heading(text, "Structures");
    for structure in STRUCTURES {
        comment(text, structure.documentation, "");
        writeln!(text, "typedef struct {} {{", structure.name).unwrap();
        for field in structure.fields {
            comment(text, field.documentation, "    ");
            writeln!(text, "    {};", field.declaration).unwrap();
        }
        writeln!(text, "}} {};\n", structure.name).unwrap();
    }
    // An array type with a negative length where a size differs: C99 has no static assertions.
    text.push_str("/* A compiler that lays the structures out otherwise cannot use this library. */\n");
    text.push_str(
        "#define CASEMATE_CHECK(name, condition) typedef char casemate_check_##name[(condition) ? 1 : -1]\n",
    );
    for structure in STRUCTURES {
        let name = structure.name.trim_start_matches("casemate_");
        writeln!(text, "CASEMATE_CHECK({name}, sizeof({}) == {});", structure.name, structure.size).unwrap();
        for field in structure.fields {
            let member = field.declaration.rsplit(' ').next().unwrap_or_default();
            let member = member.split('[').next().unwrap_or_default();
            writeln!(
                text,
                "CASEMATE_CHECK({name}_{member}, offsetof({}, {member}) == {});",
                structure.name, field.offset
            )
            .unwrap();
        }
    }
    text.push_str("#undef CASEMATE_CHECK\n\n");
}

fn opaque<T: StateOf>(text: &mut String, documentation: &str, constant: &str) {
    let name = T::NAME;
    writeln!(text, "/** {documentation} */").unwrap();
    writeln!(text, "#define {constant} {}", 8 * T::WORDS).unwrap();
    writeln!(text, "typedef union {name} {{\n    uint64_t words[{constant} / 8];").unwrap();
    writeln!(text, "    unsigned char bytes[{constant}];\n}} {name};\n").unwrap();
}

fn calls(text: &mut String, calls: &[Call]) {
    for call in calls {
        comment(text, call.documentation, "");
        let parameters = (call.parameters)();
        let parameters = if parameters.is_empty() { std::vec![String::from("void")] } else { parameters };
        let space = if call.returns.ends_with('*') { "" } else { " " };
        let mut line = std::format!("{}{space}{}(", call.returns, call.name);
        for (index, parameter) in parameters.iter().enumerate() {
            let last = index + 1 == parameters.len();
            let piece = std::format!("{parameter}{}", if last { ");" } else { "," });
            if line.len() + piece.len() + 1 > 118 {
                writeln!(text, "{}", line.trim_end()).unwrap();
                line = String::from("    ");
            }
            line.push_str(&piece);
            line.push(' ');
        }
        writeln!(text, "{}\n", line.trim_end()).unwrap();
    }
}

fn header() -> String {
    let mut text = String::from(INTRODUCTION);
    let (major, minor) = VERSION;
    heading(&mut text, "Version");
    text.push_str("/* The major number counts changes that break programs, the minor one additions. */\n");
    writeln!(text, "#define CASEMATE_API_VERSION_MAJOR {major}\n#define CASEMATE_API_VERSION_MINOR {minor}")
        .unwrap();
    text.push_str(
        "#define CASEMATE_API_VERSION ((CASEMATE_API_VERSION_MAJOR << 16) | CASEMATE_API_VERSION_MINOR)\n\n",
    );
    statuses(&mut text);
    numbers(&mut text);
    structures(&mut text);
    assert!(HANDLES.contains(&std::format!("CASEMATE_PACKET_SIZE({MAX_DATA_LENGTH})")), "the largest packet");
    text.push_str(HANDLES);
    opaque::<Object>(
        &mut text,
        "A client. Zeroed before it is opened; what it holds is the library's affair.",
        "CASEMATE_CLIENT_SIZE",
    );
    opaque::<Hash>(&mut text, "A hash under way.", "CASEMATE_HASH_STATE_SIZE");
    opaque::<Hmac>(&mut text, "An HMAC under way.", "CASEMATE_HMAC_STATE_SIZE");
    text.push_str(KEYS);
    for (title, group) in GROUPS {
        heading(&mut text, title);
        calls(&mut text, group);
        if *title == "Opening a client" {
            text.push_str(
                "/** Ends the connection and wipes the client and its packet buffer. No message is sent: \
                 casemate_close does that. */\ncasemate_status casemate_release(casemate_client *client);\n\n",
            );
        }
    }
    text.push_str(END);
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/casemate.h")
}

#[test]
fn the_header_is_what_the_tables_say() {
    let made = header();
    if std::env::var_os("CASEMATE_WRITE_HEADER").is_some() {
        std::fs::write(path(), &made).unwrap();
    }
    let found = std::fs::read_to_string(path()).unwrap_or_default();
    let differing = made.lines().zip(found.lines()).position(|(made, found)| made != found);
    assert!(
        made == found,
        "include/casemate.h differs from line {differing:?} on: CASEMATE_WRITE_HEADER=1 cargo test -p casemate-capi header"
    );
}

#[test]
fn every_line_of_the_header_fits() {
    for line in header().lines() {
        assert!(line.len() <= 120, "{line}");
    }
}

/// The structures whose size depends on that of a pointer, and the memory that the caller provides: C compares its own
/// numbers with Rust's.
#[test]
fn a_compiler_lays_out_the_structures_with_pointers_alike() {
    let mut source = String::from("#include \"casemate.h\"\n");
    let mut check = |condition: String| {
        writeln!(source, "_Static_assert({condition}, \"{condition}\");").unwrap();
    };
    macro_rules! same {
        ($($type:ident = $name:literal { $($field:ident),* })*) => {$(
            check(std::format!("sizeof({}) == {}", $name, size_of::<$type>()));
            check(std::format!("_Alignof({}) == {}", $name, align_of::<$type>()));
            $( check(std::format!("offsetof({}, {}) == {}", $name, stringify!($field), offset_of!($type, $field))); )*
        )*};
    }
    same! {
        KeyArgument = "casemate_key" { bytes, length, id }
        Options = "casemate_options" { timeout_milliseconds, context, now, wait, tls }
        TlsFileNames = "casemate_tls_files" { trust, certificate, key, server_name }
        PacketFunctions = "casemate_transport" { context, send, receive, close }
        StreamFunctions = "casemate_stream" { context, write, read, close }
    }
    check(std::format!("sizeof(casemate_client) >= {}", size_of::<Object>()));
    check(std::format!("_Alignof(casemate_client) >= {}", align_of::<Object>()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("layout.c");
    std::fs::write(&file, source).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "gcc".to_string());
    let output = std::process::Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(path().parent().unwrap())
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
