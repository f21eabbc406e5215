//! What the configuration promises and nothing keeps: keys that are not there, models without a
//! price.

use super::report::{Check, Detail, several};
use crate::{
    access::{Pattern, Permissions, Target, fits},
    config::{Config, Environment, ProviderEntry, ProviderKind},
    prices::{PriceList, changes::list_at},
    providers,
    registry::Registry,
    store::{BudgetRow, KeyRow, Store, StoreError, UserRow},
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) fn check(config: &Config, environment: &Environment) -> Vec<Check> {
    vec![configuration(config), upstreams(config, environment)]
}

/// What the file cannot know is wrong on its own is read again as the server would.
fn configuration(config: &Config) -> Check {
    let prices = PriceList::new(&config.prices).map(drop).map_err(|error| error.to_string());
    let registry = Registry::of(config).check().map_err(|error| error.to_string());
    match prices.and(registry) {
        Err(error) => Check::broken("configuration", error),
        Ok(()) if config.providers.is_empty() => {
            Check::warning("configuration", "no [[providers]]: there is no model to call")
        }
        Ok(()) => Check::ok("configuration", several(config.providers.len(), "provider")),
    }
}

fn upstreams(config: &Config, environment: &Environment) -> Check {
    let wrong: Vec<_> = config
        .providers
        .iter()
        .flat_map(|entry| problems(entry, environment).map(move |text| (&entry.name, text)))
        .collect();
    if wrong.is_empty() {
        return Check::ok("providers", "every key and every model file is there");
    }
    Check::broken(
        "providers",
        several(wrong.len(), "thing") + " missing: the server does not start",
    )
    .advise("set what is named, or take the provider out of the configuration")
    .listing(
        wrong.into_iter().map(|(name, text)| {
            Detail::new(text.clone(), json!({"provider": name, "problem": text}))
        }),
    )
}

fn problems(entry: &ProviderEntry, environment: &Environment) -> impl Iterator<Item = String> {
    let key = match entry.kind {
        ProviderKind::Llama => None,
        _ => providers::check(entry, environment).err().map(|error| error.to_string()),
    };
    let missing = entry.load.iter().filter(|model| !model.path.is_file()).map(|model| {
        let path = model.path.display();
        format!(
            "provider {:?}: there is no file {path} for the model {:?}",
            entry.name, model.model
        )
    });
    key.into_iter().chain(missing)
}

/// Whether every model that is named has a price, where a cost budget applies: without one its
/// calls are refused.
pub(super) async fn prices(
    config: &Config,
    store: &Store,
    now_ms: i64,
) -> Result<Check, StoreError> {
    let Ok(prices) = PriceList::new(&config.prices) else {
        return Ok(Check::skipped("prices", "the configuration's prices cannot be read"));
    };
    let prices = list_at(store, &prices.or_listed(Registry::of(config)), now_ms).await?;
    let budgets = store.budgets().await?;
    let payers = Payers::of(&budgets);
    if payers.budgets.is_empty() {
        return Ok(Check::ok("prices", "no budget limits cost"));
    }
    let users: HashMap<_, _> =
        store.users().await?.into_iter().map(|user| (user.id.clone(), user)).collect();
    let named = named(config);
    let mut unpriced: BTreeMap<String, usize> = BTreeMap::new();
    for key in store.keys(None).await?.iter().filter(|key| key.revoked_ms.is_none()) {
        let Some(user) = users.get(&key.user_id) else { continue };
        for name in payers.unpriced(key, user, (&named, &prices)) {
            *unpriced.entry(name).or_default() += 1;
        }
    }
    if unpriced.is_empty() {
        return Ok(Check::ok("prices", "every model that is named has one, where cost is limited"));
    }
    let found = format!("{} without one, where cost is limited", several(unpriced.len(), "model"));
    Ok(Check::warning("prices", found)
        .advise("calls to these models are refused as unpriced_model: add [[prices]] for them")
        .listing(unpriced.into_iter().map(|(model, keys)| {
            let text = format!("{model}, for {}", several(keys, "key"));
            Detail::new(text, json!({"model": model, "keys": keys}))
        })))
}

/// Every model that the configuration names in full.
fn named(config: &Config) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for provider in &config.providers {
        let models = provider.models.iter().filter(|model| !model.ends_with('*'));
        let loaded = provider.load.iter().map(|model| &model.model);
        named.extend(models.chain(loaded).map(|model| format!("{}/{model}", provider.name)));
    }
    named.extend(config.models.iter().flat_map(|entry| entry.targets.iter().cloned()));
    named
}

/// Budgets that limit cost, by the id of their owner.
struct Payers<'b> {
    budgets: HashMap<&'b str, Vec<&'b BudgetRow>>,
}

impl<'b> Payers<'b> {
    fn of(all: &'b [BudgetRow]) -> Self {
        let mut budgets: HashMap<_, Vec<_>> = HashMap::new();
        for budget in all.iter().filter(|b| b.resource == "cost" && b.owner_kind != "default") {
            budgets.entry(budget.owner_id.as_str()).or_default().push(budget);
        }
        Self { budgets }
    }

    /// Models that a key may call, that a cost budget counts, and that have no price.
    fn unpriced(
        &self,
        key: &KeyRow,
        user: &UserRow,
        (named, prices): (&BTreeSet<String>, &PriceList),
    ) -> Vec<String> {
        let owners = [Some(&key.id), key.parent_id.as_ref(), Some(&user.id), user.team_id.as_ref()];
        let owners = owners.into_iter().flatten();
        let budgets: Vec<_> =
            owners.filter_map(|owner| self.budgets.get(owner.as_str())).flatten().collect();
        if budgets.is_empty() {
            return Vec::new();
        }
        let read = |json: &String| serde_json::from_str::<Permissions>(json).unwrap_or_default();
        let permissions = [read(&key.permissions), read(&user.permissions)];
        let own = permissions.iter().flat_map(|p| p.models.iter().flatten());
        let own = own.map(|Pattern(name)| name).filter(|name| !name.ends_with('*'));
        let names: BTreeSet<&String> = named.iter().chain(own).collect();
        let counts = |target: &Target, name: &str| {
            permissions.iter().all(|permissions| allows(permissions, target, name))
                && budgets
                    .iter()
                    .any(|b| fits(&b.provider, &target.provider) && fits(&b.model, name))
                && prices.of(target).is_none()
        };
        let unpriced = names.into_iter().filter(|name| {
            let parts = name.split_once('/');
            let target = parts.map(|(provider, model)| Target {
                provider: provider.to_owned(),
                model: model.to_owned(),
            });
            target.is_some_and(|target| counts(&target, name))
        });
        unpriced.cloned().collect()
    }
}

fn allows(permissions: &Permissions, target: &Target, name: &str) -> bool {
    let fits = |list: &Option<Vec<Pattern>>, name: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.matches(name)))
    };
    fits(&permissions.providers, &target.provider) && fits(&permissions.models, name)
}
