//! One model of the registry, as its data describes it.

use super::Vendor;
use crate::config::PriceEntry;
use serde::Deserialize;
use std::collections::BTreeMap;
use tollgate_types::Capability;

/// A well-known model.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Model {
    /// Who runs it.
    pub vendor: Vendor,
    /// What the vendor calls it.
    pub id: String,
    /// Other names of the vendor's for it, besides dated snapshots.
    pub aliases: Vec<String>,
    /// Most tokens of prompt and answer together.
    pub context_window: Option<u32>,
    /// Most tokens of one answer.
    pub max_output_tokens: Option<u32>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// The vendor's list price at its own address, without discounts for batches or flexible
    /// times; `model` is `vendor/id`.
    pub price: Option<PriceEntry>,
}

/// A model in the data: its price does not repeat its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    vendor: Vendor,
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    capabilities: Vec<Capability>,
    price: Option<toml::Table>,
}

/// What a vendor charges for tools that it runs, with some of its models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// Who runs the tools.
    pub vendor: Vendor,
    /// Ids of the models; a `*` at the end stands for any rest.
    pub models: Vec<String>,
    /// US dollars per thousand calls, by the name of the fee.
    pub tools: BTreeMap<String, String>,
    /// The day on which they were read at their source.
    pub as_of: String,
    /// Where they were read.
    pub source: String,
}

impl Fees {
    /// Whether they are for a model.
    pub(super) fn fit(&self, model: &Model) -> bool {
        let fits = |id: &String| match id.strip_suffix('*') {
            Some(beginning) => model.id.starts_with(beginning),
            None => model.id == *id,
        };
        self.vendor == model.vendor && self.models.iter().any(fits)
    }
}

impl Model {
    /// `vendor/id`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.vendor, self.id)
    }

    /// Every name of the vendor's for it, without dated snapshots.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).chain(&self.aliases)
    }
}

impl TryFrom<Written> for Model {
    type Error = toml::de::Error;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { vendor, id, aliases, context_window, max_output_tokens, .. } = written;
        let name = format!("{vendor}/{id}");
        let price = written.price.map(|mut price| {
            price.insert("model".to_owned(), name.into());
            price.try_into()
        });
        Ok(Self {
            vendor,
            id,
            aliases,
            context_window,
            max_output_tokens,
            capabilities: written.capabilities,
            price: price.transpose()?,
        })
    }
}
