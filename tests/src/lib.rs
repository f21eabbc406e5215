//! What the project's own tests share: reading its source files and checking their shape, and
//! running its programs as an operator would.

pub mod source;
pub mod floors;
pub mod shape;
pub mod supply;
pub mod server;
pub mod process;
