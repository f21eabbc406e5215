//! The upper bound of what a call can cost, as a function of how much it may answer.

use super::{
    FeeBounds, PriceList, Rates,
    rates::{round_up, to_i64},
};
use crate::access::{Permit, Target};
use std::sync::Arc;
use tollgate_types::{GPU_MS, Resource};

/// How large a call can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// No prompt can have more tokens than this.
    pub input_tokens: u64,
    /// The most output tokens that the caller and the model allow.
    pub max_output: u64,
    /// The least number of output tokens that makes sense: 1 for each answer that is asked for, 0
    /// for embeddings.
    pub min_output: u64,
    /// The likely number of prompt tokens: what is charged when nobody ever says.
    pub likely_input: u64,
    /// The provider runs in this process and counts every token itself: until it answers, it has
    /// used nothing.
    pub in_process: bool,
}

/// What a permitted call can cost at most.
#[derive(Clone, Debug)]
pub struct Quote {
    permit: Permit,
    bound: Bound,
    rates: Vec<Option<Arc<Rates>>>,
    fees: FeeBounds,
}

/// Quotes a permitted call over all targets that it may be sent to.
pub fn quote(prices: &PriceList, permit: Permit, bound: Bound) -> Quote {
    let rates = permit.targets().iter().map(|target| prices.of(target)).collect();
    Quote { permit, bound, rates, fees: FeeBounds::default() }
}

impl Quote {
    /// With the most that tools of the provider's can be called.
    #[must_use]
    pub fn with_fees(self, fees: FeeBounds) -> Self {
        Self { fees, ..self }
    }

    /// The most that tools of the provider's can be called.
    pub fn fees(&self) -> &FeeBounds {
        &self.fees
    }

    /// The proof that the call is permitted.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// How large the call can get.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Rates of a target, if it has a price.
    pub fn rates_of(&self, target: &Target) -> Option<&Arc<Rates>> {
        let index = self.permit.targets().iter().position(|t| t == target)?;
        self.rates.get(index)?.as_ref()
    }

    /// Targets without a price: such a call cannot be charged to a cost budget.
    pub fn unpriced(&self) -> impl Iterator<Item = &Target> {
        let targets = self.permit.targets().iter().zip(&self.rates);
        targets.filter_map(|(target, rates)| rates.is_none().then_some(target))
    }

    /// Targets that have no price for a tool of the provider's, and the tool: its calls cannot be
    /// charged to a cost budget.
    pub fn unpriced_tools(&self) -> impl Iterator<Item = (&Target, &str)> {
        let targets = self.permit.targets().iter().zip(&self.rates);
        let priced = targets.filter_map(|(target, rates)| Some((target, rates.as_ref()?)));
        priced.filter_map(|(target, rates)| Some((target, self.fees.unpriced(rates)?)))
    }

    /// What tools and time can cost at most, in millionths of nano-dollars.
    fn dearest_fees(&self) -> i128 {
        let of = |rates: &Arc<Rates>| {
            let time = rates.max_ms().map_or(0, |most| rates.fee(GPU_MS, most));
            rates.fees(self.fees.calls()).saturating_add(time)
        };
        self.rates.iter().flatten().map(of).max().unwrap_or_default()
    }

    fn dearest(&self, rate: impl Fn(&Rates) -> i64) -> i128 {
        let rates = self.rates.iter().flatten();
        i128::from(rates.map(|r| rate(r)).max().unwrap_or_default())
    }

    /// What must be set aside for an answer of at most `output` tokens.
    pub fn amount(&self, resource: Resource, output: u64) -> i64 {
        let input = i128::from(self.bound.input_tokens);
        let output = i128::from(output);
        match resource {
            Resource::Requests => 1,
            Resource::Tokens => to_i64(input.saturating_add(output)),
            Resource::Cost => {
                let prompt = self.bound.input_tokens;
                let dearest_input = self.dearest(|rates| rates.dearest_input(prompt));
                let dearest_output = self.dearest(|rates| rates.dearest_output(prompt));
                let input = input.saturating_mul(dearest_input);
                let output = output.saturating_mul(dearest_output);
                let fee = self.dearest(|rates| rates.per_request);
                let counted = input.saturating_add(output).saturating_add(self.dearest_fees());
                to_i64(round_up(counted).saturating_add(fee))
            }
        }
    }

    /// The longest answer that fits an amount; `None` when not even the shortest does.
    pub fn affordable_output(&self, resource: Resource, available: i64) -> Option<u64> {
        let fits = |output: u64| self.amount(resource, output) <= available;
        let (mut low, mut high) = (self.bound.min_output, self.bound.max_output);
        // As almost always.
        if low <= high && fits(high) {
            return Some(high);
        }
        if !fits(low) {
            return None;
        }
        // The amount grows with the answer, so the longest is found by halving.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Caller, Permissions, Role, authorize},
        config::{LongContext, PriceEntry},
    };
    use proptest::prelude::*;
    use tollgate_types::Usage;

    fn quoted(input: &str, output: &str, bound: Bound) -> (Quote, Arc<Rates>) {
        quoted_at(price(input, output), bound)
    }

    fn price(input: &str, output: &str) -> PriceEntry {
        let (input, output) = (input.to_owned(), output.to_owned());
        PriceEntry { model: "p/m".into(), input, output, ..PriceEntry::default() }
    }

    fn quoted_at(price: PriceEntry, bound: Bound) -> (Quote, Arc<Rates>) {
        let target = Target { provider: "p".into(), model: "m".into() };
        let list = PriceList::new(&[price]).unwrap();
        let caller = Arc::new(Caller::for_tests(Role::Member, [Permissions::default()]));
        let permit = authorize(&caller, vec![target.clone()], &[]).unwrap();
        (quote(&list, permit, bound), list.of(&target).unwrap())
    }

    fn bound(input_tokens: u64, max_output: u64) -> Bound {
        Bound {
            input_tokens,
            max_output,
            min_output: 1,
            likely_input: input_tokens,
            in_process: true,
        }
    }

    #[test]
    fn the_longest_affordable_answer_is_found() {
        let (quote, _) = quoted("1", "1", bound(10, 100));
        // One dollar a million: 1000 nano-dollars a token.
        assert_eq!(quote.affordable_output(Resource::Cost, 60_000), Some(50));
        assert_eq!(quote.affordable_output(Resource::Cost, 10_999), None);
        assert_eq!(quote.affordable_output(Resource::Tokens, 1000), Some(100));
        assert_eq!(quote.affordable_output(Resource::Tokens, 11), Some(1));
        assert_eq!(quote.affordable_output(Resource::Tokens, 10), None);
        assert_eq!(quote.affordable_output(Resource::Requests, 0), None);
        assert_eq!(quote.affordable_output(Resource::Requests, 1), Some(100));
    }

    #[test]
    fn a_tool_without_a_price_is_found() {
        let entry = PriceEntry {
            tools: [("grounded_prompt".to_owned(), "35".to_owned())].into(),
            ..price("1", "1")
        };
        let (quote, _) = quoted_at(entry, bound(1, 1));
        let with = |fees: &[(&str, u64)]| {
            let mut bounds = FeeBounds::default();
            bounds.add(fees);
            quote.clone().with_fees(bounds)
        };
        assert_eq!(quote.unpriced_tools().next(), None);
        let either = with(&[("google_search", 32), ("grounded_prompt", 1)]);
        assert_eq!(either.unpriced_tools().next(), None);
        // 35 dollars a thousand: three and a half cents, and two tokens.
        assert_eq!(either.amount(Resource::Cost, 1), 35_000_000 + 2_000);
        let searched = with(&[("web_search", 32)]);
        let (target, tool) = searched.unpriced_tools().next().unwrap();
        assert_eq!((target.to_string().as_str(), tool), ("p/m", "web_search"));
    }

    #[test]
    fn a_free_model_fits_an_empty_budget() {
        let (quote, _) = quoted("0", "0", bound(10, 100));
        assert_eq!(quote.affordable_output(Resource::Cost, 0), Some(100));
    }

    proptest! {
        #[test]
        fn no_call_within_its_bound_costs_more_than_its_quote(
            input in 0u64..1_000_000, output in 1u64..100_000,
            used_in in 0u64..1_000_000, used_out in 0u64..100_000,
            nanos in 0u32..1_000_000_000,
        ) {
            let price = format!("3.{nanos:09}");
            let (quote, rates) = quoted(&price, &price, bound(input, output));
            let usage = Usage::tokens(used_in.min(input), used_out.min(output));
            prop_assert!(rates.cost(&usage).0 <= quote.amount(Resource::Cost, output));
        }

        #[test]
        fn nor_does_one_with_tools_and_time(
            most in 0u64..40, searches in 0u64..40, ms in 0u64..70_000,
            search in 0u32..100, second in 0u32..1_000_000_000,
        ) {
            let tools = [("web_search".to_owned(), search.to_string())].into();
            let gpu_second = Some(format!("0.{second:09}"));
            let entry = PriceEntry { tools, gpu_second, max_seconds: Some(60), ..price("1", "2") };
            let (quote, rates) = quoted_at(entry, bound(5, 5));
            let mut fees = FeeBounds::default();
            fees.add(&[("web_search", most)]);
            let quote = quote.with_fees(fees);
            let tool_fees =
                [("web_search".to_owned(), searches.min(most)), (GPU_MS.to_owned(), ms.min(60_000))];
            let usage = Usage { tool_fees: tool_fees.into(), ..Usage::tokens(5, 5) };
            prop_assert!(rates.cost(&usage).0 <= quote.amount(Resource::Cost, 5));
        }

        #[test]
        fn nor_does_one_with_a_long_prompt(
            input in 0u64..1_000, above in 1u64..1_000, used in 0u64..1_000, cached in 0u64..1_000,
            short in 0u32..9, long in 0u32..9,
        ) {
            let (short, long) = (short.to_string(), long.to_string());
            let long_context = LongContext {
                above,
                input: long.clone(),
                output: short.clone(),
                cache_read: Some(short.clone()),
                ..LongContext::default()
            };
            let entry = PriceEntry { long_context: Some(long_context), ..price(&short, &long) };
            let (quote, rates) = quoted_at(entry, bound(input, 10));
            let cache_read = cached.min(input);
            let usage = Usage { cache_read, ..Usage::tokens(used.min(input - cache_read), 10) };
            prop_assert!(rates.cost(&usage).0 <= quote.amount(Resource::Cost, 10));
        }
    }
}
