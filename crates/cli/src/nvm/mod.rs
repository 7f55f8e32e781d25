//! `casemate nvm`.

mod image;

use crate::connection::Connection;
use crate::table::{Align, Table};
use crate::value::{
    Form, Input, flag_names, flags, label, object_kind, object_number, object_owner, say, word,
};
use anyhow::{Context, Result};
use casemate_protocol::{Flags, Label, Metadata, ObjectId, ObjectType};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Work with the objects in a server's non-volatile memory, and with images of such memory
///
/// An object has an identifier from 1 to 65535, up to 65535 bytes of data, a label and flags. Plain objects (0x0001
/// to 0x0fff) are shared by all clients. Committed keys (0x1000 and up) and counters (0x3000 and up) are objects too;
/// the second digit says which client owns them, and only that client sees them. Use `casemate key` for keys.
///
/// build, inspect, verify, diff, hex and repair work on files and need no server. A file of `casemate serve --nvm` is such
/// an image too: 512 KiB a partition and 30 objects, unless the server's options say otherwise.
#[derive(Args)]
pub(crate) struct Nvm {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Action {
    /// List all objects that this client may see
    List,
    /// Show how much space is free
    Info,
    /// Write an object's data to standard output, or to a file
    Read {
        /// The object's identifier, such as 7 or 0x0007
        #[arg(value_parser = object_number)]
        id: u16,
        #[command(flatten)]
        form: Form,
        /// Write to a file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Store an object, or replace it; the data come from an option or from standard input
    Add {
        /// The object's identifier, such as 7 or 0x0007
        #[arg(value_parser = object_number)]
        id: u16,
        #[command(flatten)]
        input: Input,
        /// A label of at most 24 bytes
        #[arg(long, default_value = "", hide_default_value = true, value_parser = label)]
        label: Label,
        /// Flags by name, separated by commas: nonmodifiable, nonexportable, nondestroyable, ...
        #[arg(long, default_value = "none", value_parser = flags)]
        flags: Flags,
        /// Access word; stored and shown, but not checked by any server
        #[arg(long, value_name = "NUMBER", default_value = "0xffff", value_parser = word)]
        access: u16,
    },
    /// Destroy objects; identifiers that name no object are skipped
    Destroy {
        /// The objects' identifiers
        #[arg(required = true, value_parser = object_number)]
        ids: Vec<u16>,
    },
    /// Free the space of destroyed and replaced objects
    Compact,
    #[command(flatten)]
    Image(image::Action),
}

impl Nvm {
    pub(crate) fn run(&self) -> Result<()> {
        if let Action::Image(action) = &self.action {
            return action.run();
        }
        let mut hsm = self.connection.open()?;
        match &self.action {
            Action::List => {
                let ids = hsm.nvm_list().collect::<Result<Vec<_>, _>>()?;
                let mut table = Table::new(&[
                    ("ID", Align::Left),
                    ("KIND", Align::Left),
                    ("OWNER", Align::Right),
                    ("BYTES", Align::Right),
                    ("ACCESS", Align::Left),
                    ("FLAGS", Align::Left),
                    ("LABEL", Align::Left),
                ]);
                for id in ids {
                    let metadata = hsm.nvm_metadata(id)?;
                    table.row([
                        id.to_string(),
                        object_kind(id).to_owned(),
                        object_owner(id),
                        metadata.length.to_string(),
                        format!("{:#06x}", metadata.access),
                        flag_names(metadata.flags),
                        // Of counters, it is the value.
                        if id.object_type() == ObjectType::COUNTER {
                            String::new()
                        } else {
                            metadata.label.to_string()
                        },
                    ]);
                }
                table.print_or("no objects")?;
            }
            Action::Info => {
                let space = hsm.nvm_available()?;
                say(format_args!("Free         {} bytes, {} objects", space.free_size, space.free_objects))?;
                say(format_args!(
                    "Reclaimable  {} bytes, {} objects",
                    space.reclaimable_size, space.reclaimable_objects
                ))?;
            }
            Action::Read { id, form, out } => {
                let id = ObjectId(*id);
                let failed = || format!("object {id}");
                let length = hsm.nvm_metadata(id).with_context(failed)?.length;
                let mut data = Zeroizing::new(vec![0; usize::from(length)]);
                hsm.nvm_read(id, &mut data).with_context(failed)?;
                form.write(&data, out.as_deref(), false)?;
            }
            Action::Add { id, input, label, flags, access } => {
                let data = input.read()?;
                let metadata =
                    Metadata { id: ObjectId(*id), access: *access, flags: *flags, length: 0, label: *label };
                hsm.nvm_add(&metadata, &data).with_context(|| format!("object {}", metadata.id))?;
                eprintln!("object {} stored, {} bytes", metadata.id, data.len());
            }
            Action::Destroy { ids } => {
                let ids: Vec<_> = ids.iter().map(|&id| ObjectId(id)).collect();
                hsm.nvm_destroy(&ids)?;
            }
            Action::Compact => hsm.nvm_compact()?,
            Action::Image(_) => {}
        }
        hsm.close()?;
        Ok(())
    }
}
