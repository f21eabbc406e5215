//! Provider-namespaced data that nobody models: carried both ways, untouched.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `{"anthropic": {...}, "openai": {...}}`: what a provider said, or shall be told, beyond the
/// common vocabulary. Each provider reads only its own entry.
pub type Extras = BTreeMap<String, Map<String, Value>>;
