//! Which calls a budget counts.

use crate::{
    access::{Permit, fits},
    store::{BudgetRow, NewEntry},
};

/// Whether a permitted call could count: any target that it may go to does.
pub(super) fn could_count(budget: &BudgetRow, permit: &Permit) -> bool {
    let feature = |feature: &&str| permit.features().iter().any(|used| used.as_str() == *feature);
    let any_feature = budget.feature == "*";
    (any_feature || feature(&budget.feature.as_str()))
        && permit.targets().iter().any(|target| is_for(budget, &target.provider, &target.model))
}

/// Whether an entry counts: it went to a target that does. The features were the same all along.
pub(super) fn counts(budget: &BudgetRow, entry: &NewEntry) -> bool {
    is_for(budget, &entry.kind.provider, &entry.kind.model)
}

/// Whether calls to a model count.
pub(super) fn is_for(budget: &BudgetRow, provider: &str, model: &str) -> bool {
    if budget.provider == "*" && budget.model == "*" {
        return true;
    }
    fits(&budget.provider, provider) && fits(&budget.model, &format!("{provider}/{model}"))
}
