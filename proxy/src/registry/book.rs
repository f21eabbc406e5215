//! The built-in models, and how a name finds one.

use super::{Fees, Model, Vendor, snapshot};
use serde::Deserialize;
use std::{collections::HashMap, sync::LazyLock};

/// The data, a part of the program.
const TEXT: &str = include_str!("../../data/models.toml");

/// Every well-known model.
#[derive(Debug, Default)]
pub struct Book {
    models: Vec<Model>,
    fees: Vec<Fees>,
    /// Position of every name of a vendor's.
    names: HashMap<(Vendor, String), usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    fees: Vec<Fees>,
    models: Vec<Model>,
}

impl Book {
    /// The one that is a part of the program, read once.
    pub fn built_in() -> &'static Self {
        // That the data can be read is a test's business: nobody can change it afterwards.
        static BOOK: LazyLock<Book> = LazyLock::new(|| Book::read(TEXT).unwrap_or_default());
        &BOOK
    }

    /// Reads a book.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        let Written { fees, mut models } = toml::from_str(text)?;
        for model in &mut models {
            let fits = fees.iter().find(|fees| fees.fit(model));
            if let (Some(price), Some(fees)) = (&mut model.price, fits) {
                price.tools.clone_from(&fees.tools);
            }
        }
        let mut names = HashMap::new();
        for (at, model) in models.iter().enumerate() {
            for name in model.names() {
                names.entry((model.vendor, name.clone())).or_insert(at);
            }
        }
        Ok(Self { models, names, fees })
    }

    /// Every model.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// What vendors charge for tools that they run.
    pub fn fees(&self) -> &[Fees] {
        &self.fees
    }

    /// The vendor's model of this name. A name that is listed finds its own entry. One that is not,
    /// but is that of a dated snapshot (`gpt-4o-mini-2024-07-18`), finds what stands before the
    /// date (`gpt-4o-mini`, never `gpt-4o`). Google's names may begin with `models/`.
    pub fn find(&self, vendor: Vendor, name: &str) -> Option<&Model> {
        let name = match vendor {
            Vendor::Google => name.strip_prefix("models/").unwrap_or(name),
            _ => name,
        };
        self.listed(vendor, name).or_else(|| self.listed(vendor, snapshot::base_of(name)?))
    }

    /// The model of a `vendor/name`.
    pub fn named(&self, name: &str) -> Option<&Model> {
        let (vendor, name) = name.split_once('/')?;
        let vendor = Vendor::ALL.into_iter().find(|known| known.as_str() == vendor)?;
        self.find(vendor, name)
    }

    /// The `vendor/id` that is nearest to a wrong one, if any is near.
    pub fn nearest(&self, wrong: &str) -> Option<String> {
        let names = self.models.iter().map(Model::name);
        names
            .map(|name| (strsim::damerau_levenshtein(wrong, &name), name))
            .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
            .min()
            .map(|(_, name)| name)
    }

    fn listed(&self, vendor: Vendor, name: &str) -> Option<&Model> {
        let at = self.names.get(&(vendor, name.to_owned()))?;
        self.models.get(*at)
    }
}
