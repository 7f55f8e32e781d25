//! What the fuzz targets share: flash that loses power, and the two kinds of store behind one interface.

pub mod flash;
pub mod store;
