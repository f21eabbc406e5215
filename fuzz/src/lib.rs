//! What the fuzz targets share. Each target is one function over bytes that nobody chose; the
//! server's own tests run the same functions over the seeds.

pub mod dialects;
pub mod targets;
