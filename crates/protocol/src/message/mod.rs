//! Every message, one module per group.
