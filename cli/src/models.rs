//! `toll models`.

use crate::{args::ModelsArgs, failure::Result, output};
use tollgate_client::RemoteProvider;
use tollgate_types::{ModelInfo, Provider, wire::ModelList};

pub(crate) async fn run(remote: RemoteProvider, args: ModelsArgs) -> Result<()> {
    let models = remote.models().await?;
    if args.json {
        return output::json(&ModelList { models });
    }
    let names = ["model", "aliases", "context", "in $/M", "out $/M", "features"];
    output::text(&output::table(names, models.iter().map(row).collect()))
}

fn row(model: &ModelInfo) -> [String; 6] {
    let price = |pick: fn(&tollgate_types::ModelPrice) -> &String| {
        model.price.as_ref().map_or_else(|| "-".to_owned(), |price| pick(price).clone())
    };
    let features = model.features.iter().map(|feature| feature.as_str());
    let capabilities = model.capabilities.iter().map(|capability| capability.as_str());
    let can: Vec<_> =
        if model.capabilities.is_empty() { features.collect() } else { capabilities.collect() };
    [
        model.id.clone(),
        model.aliases.join(" "),
        model.context_window.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
        price(|price| &price.input),
        price(|price| &price.output),
        can.join(" "),
    ]
}
