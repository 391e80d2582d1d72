//! The SDK as a crate, for plugins that live beside it. Others take a copy of
//! `int3rceptor.rs`, which is all of it, as a module of their own.
#![no_std]

mod int3rceptor;
pub use int3rceptor::*;
