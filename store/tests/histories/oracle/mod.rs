//! The judge: maps of integers, and nothing of the store's own algebra.

pub(crate) mod plain;
pub(crate) mod state;
pub(crate) mod worlds;
