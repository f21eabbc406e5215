//! Random requests, answers and events.

use proptest::{
    collection::{btree_map, vec},
    option::of,
    prelude::*,
};
use serde_json::{Map, Value, json};
use tollgate_types::{
    wire::{RunState, RunStatus},
    *,
};

const TEXT: &str = ".{0,8}";

/// Numbers as integers: how JSON rounds others is not what is tested.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        TEXT.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(TEXT, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(TEXT, value(), 0..3).prop_map(|map| map.into_iter().collect())
}

fn extras() -> impl Strategy<Value = Extras> {
    prop_oneof![3 => Just(Extras::new()), 1 => btree_map(TEXT, object(), 0..3)]
}

fn number() -> impl Strategy<Value = Option<f64>> {
    of(-1e300..1e300f64)
}

fn logprob() -> impl Strategy<Value = TokenLogprob> {
    let bytes = || of(vec(any::<u8>(), 0..4));
    let top = (TEXT, -30.0..0.0f64, bytes()).prop_map(|(token, logprob, bytes)| TopLogprob {
        token,
        logprob,
        bytes,
    });
    (TEXT, -30.0..0.0f64, bytes(), vec(top, 0..3))
        .prop_map(|(token, logprob, bytes, top)| TokenLogprob { token, logprob, bytes, top })
}

fn citation() -> impl Strategy<Value = Citation> {
    (of(TEXT), of(TEXT), of(TEXT), of(any::<(u32, u32)>()), extras())
        .prop_map(|(url, title, quote, span, extras)| Citation { url, title, quote, span, extras })
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        TEXT.prop_map(MediaSource::Base64),
        TEXT.prop_map(MediaSource::Url),
        TEXT.prop_map(MediaSource::FileId),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let text = (TEXT, vec(citation(), 0..3), vec(logprob(), 0..3), extras());
    let media = (TEXT, source(), of(TEXT), of(TEXT), extras());
    let leaf = prop_oneof![
        text.prop_map(|(text, citations, logprobs, extras)| {
            Part::Text(Text { text, citations, logprobs, extras })
        }),
        (TEXT, of(TEXT), of(TEXT), extras()).prop_map(|(text, signature, encrypted, extras)| {
            Part::Reasoning(Reasoning { text, signature, encrypted, extras })
        }),
        (TEXT, TEXT, TEXT, any::<bool>(), extras()).prop_map(
            |(id, name, arguments, hosted, extras)| {
                Part::ToolCall(ToolCall { id, name, arguments, hosted, extras })
            }
        ),
        media.prop_map(|(media_type, source, filename, transcript, extras)| {
            Part::Media(Media { media_type, source, filename, transcript, extras })
        }),
        (TEXT, extras()).prop_map(|(text, extras)| Part::Refusal(Refusal { text, extras })),
        (TEXT, value()).prop_map(|(api, item)| Part::Native(NativeItem { api, item })),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (TEXT, of(TEXT), vec(inner, 0..3), any::<bool>(), extras()).prop_map(
            |(call_id, name, content, is_error, extras)| {
                Part::ToolResult(ToolResult { call_id, name, content, is_error, extras })
            },
        )
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    (TEXT, TEXT, TEXT, of(TEXT)).prop_map(|(api, provider, model, response_id)| Origin {
        api,
        provider,
        model,
        response_id,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(vec![
        Role::System,
        Role::Developer,
        Role::User,
        Role::Assistant,
        Role::Tool,
    ]);
    (role, vec(part(), 0..3), of(TEXT), of(origin()), extras()).prop_map(
        |(role, content, name, origin, extras)| Message { role, content, name, origin, extras },
    )
}

fn tool() -> impl Strategy<Value = Tool> {
    prop_oneof![
        (TEXT, TEXT, value(), of(any::<bool>()), extras()).prop_map(
            |(name, description, parameters, strict, extras)| {
                Tool::Function(FunctionTool { name, description, parameters, strict, extras })
            }
        ),
        (TEXT, object()).prop_map(|(api, config)| Tool::Hosted(HostedTool { api, config })),
    ]
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        TEXT.prop_map(ToolChoice::Tool),
        (vec(TEXT, 0..3), any::<bool>())
            .prop_map(|(names, required)| ToolChoice::Subset { names, required }),
    ]
}

fn format() -> impl Strategy<Value = OutputFormat> {
    prop_oneof![
        Just(OutputFormat::Text),
        Just(OutputFormat::Json),
        (TEXT, value(), any::<bool>()).prop_map(|(name, schema, strict)| {
            OutputFormat::JsonSchema { name, schema, strict }
        }),
        (TEXT, TEXT).prop_map(|(syntax, grammar)| OutputFormat::Grammar { syntax, grammar }),
    ]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let numbers = (number(), number(), number(), number(), number());
    let whole = (of(any::<u32>()), of(any::<u32>()), of(any::<i64>()), of(any::<u8>()));
    (numbers, whole, vec(TEXT, 0..3)).prop_map(|(numbers, whole, stop)| Sampling {
        max_output_tokens: whole.0,
        temperature: numbers.0,
        top_p: numbers.1,
        top_k: whole.1,
        min_p: numbers.2,
        presence_penalty: numbers.3,
        frequency_penalty: numbers.4,
        seed: whole.2,
        stop,
        logprobs: whole.3,
    })
}

fn reasoning() -> impl Strategy<Value = ReasoningOptions> {
    (of(TEXT), of(any::<u32>()), of(any::<bool>())).prop_map(
        |(effort, budget_tokens, include_text)| ReasoningOptions {
            effort,
            budget_tokens,
            include_text,
        },
    )
}

pub fn request() -> impl Strategy<Value = GenerateRequest> {
    let modality = prop::sample::select(vec![Modality::Text, Modality::Image, Modality::Audio]);
    let asked = (TEXT, vec(message(), 0..3), vec(tool(), 0..3), of(choice()), of(format()));
    let how = (sampling(), of(reasoning()), vec(modality, 0..3), extras());
    let flags = (of(any::<bool>()), of(any::<u32>()), of(TEXT), of(any::<bool>()), any::<bool>());
    (asked, how, flags).prop_map(|(asked, how, flags)| GenerateRequest {
        model: asked.0,
        messages: asked.1,
        tools: asked.2,
        tool_choice: asked.3,
        output: asked.4,
        sampling: how.0,
        reasoning: how.1,
        modalities: how.2,
        extras: how.3,
        parallel_tool_calls: flags.0,
        choices: flags.1,
        continues: flags.2,
        store: flags.3,
        on_unsupported: if flags.4 { OnUnsupported::Warn } else { OnUnsupported::Fail },
        options: CallOptions::default(),
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let counts = prop::array::uniform9(any::<u64>());
    (counts, btree_map(TEXT, any::<u64>(), 0..3), any::<bool>()).prop_map(
        |(counts, tool_fees, estimated)| Usage {
            input: counts[0],
            cache_read: counts[1],
            cache_write_5m: counts[2],
            cache_write_1h: counts[3],
            audio_in: counts[4],
            image_in: counts[5],
            output: counts[6],
            reasoning: counts[7],
            audio_out: counts[8],
            tool_fees,
            estimated,
        },
    )
}

fn finish() -> impl Strategy<Value = Finish> {
    let reason = prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::BudgetExhausted,
        FinishReason::ToolCalls,
        FinishReason::ContentFilter,
        FinishReason::Pause,
        FinishReason::Cancelled,
        FinishReason::Other,
    ]);
    (reason, of(TEXT)).prop_map(|(reason, raw)| Finish { reason, raw })
}

fn warning() -> impl Strategy<Value = Warning> {
    (TEXT, TEXT, of(TEXT)).prop_map(|(code, message, param)| Warning { code, message, param })
}

fn budget() -> impl Strategy<Value = BudgetStatus> {
    let resource = prop::sample::select(vec![Resource::Cost, Resource::Tokens, Resource::Requests]);
    let window = prop::sample::select(vec![Window::Minute, Window::Week, Window::Total]);
    let patterns = (of(TEXT), of(TEXT), of(TEXT));
    let amounts = (any::<i64>(), any::<i64>(), any::<i64>(), of(any::<i64>()));
    (TEXT, TEXT, resource, window, amounts, patterns, any::<bool>()).prop_map(
        |(budget, owner, resource, window, amounts, patterns, soft)| BudgetStatus {
            budget,
            owner,
            resource,
            window,
            cap: amounts.0,
            spent: amounts.1,
            held: amounts.2,
            resets_at_ms: amounts.3,
            provider: patterns.0,
            model: patterns.1,
            feature: patterns.2,
            soft,
        },
    )
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let rate = || {
        of(any::<(u64, u64, u64)>().prop_map(|(limit, remaining, reset_ms)| RateLimit {
            limit,
            remaining,
            reset_ms,
        }))
    };
    let limits =
        (rate(), rate(), of(any::<u32>())).prop_map(|(requests, tokens, max_output_tokens)| {
            CallLimits { requests, tokens, max_output_tokens }
        });
    (TEXT, of(TEXT), of(any::<i64>()), vec(budget(), 0..3), of(limits)).prop_map(
        |(request_id, upstream_request_id, cost, budgets, limits)| Receipt {
            request_id,
            upstream_request_id,
            cost: cost.map(NanoUsd),
            budgets,
            limits,
        },
    )
}

pub fn answer() -> impl Strategy<Value = GenerateResponse> {
    let said = (vec(part(), 0..3), finish(), usage(), origin());
    (said, vec(warning(), 0..3), extras(), of(receipt())).prop_map(
        |((content, finish, usage, origin), warnings, extras, receipt)| GenerateResponse {
            content,
            finish,
            usage,
            origin,
            warnings,
            extras,
            receipt,
        },
    )
}

pub fn event() -> impl Strategy<Value = StreamEvent> {
    prop_oneof![
        (origin(), of(TEXT), vec(warning(), 0..3)).prop_map(|(origin, request_id, warnings)| {
            StreamEvent::Start { origin, request_id, warnings }
        }),
        (any::<u32>(), part()).prop_map(|(index, part)| StreamEvent::PartStart { index, part }),
        (any::<u32>(), TEXT, vec(logprob(), 0..3)).prop_map(|(index, delta, logprobs)| {
            StreamEvent::PartDelta { index, delta, logprobs }
        }),
        (any::<u32>(), of(TEXT), vec(citation(), 0..3), extras()).prop_map(
            |(index, signature, citations, extras)| {
                StreamEvent::PartEnd { index, signature, citations, extras }
            }
        ),
        usage().prop_map(|usage| StreamEvent::Usage { usage }),
        (TEXT, value()).prop_map(|(api, value)| StreamEvent::Raw { api, value }),
        (finish(), usage(), extras(), of(receipt())).prop_map(
            |(finish, usage, extras, receipt)| {
                StreamEvent::Finish { finish, usage, extras, receipt }
            }
        ),
    ]
}

pub fn embedding() -> impl Strategy<Value = (EmbedRequest, EmbedResponse)> {
    let request = (TEXT, vec(TEXT, 0..3), of(any::<u32>()), extras()).prop_map(
        |(model, input, dimensions, extras)| EmbedRequest {
            model,
            input,
            dimensions,
            extras,
            options: CallOptions::default(),
        },
    );
    let vectors = vec(vec(-1e30..1e30f32, 0..4), 0..3);
    let response =
        (vectors, usage(), TEXT, of(receipt())).prop_map(|(vectors, usage, model, receipt)| {
            EmbedResponse { vectors, usage, model, receipt }
        });
    (request, response)
}

pub fn run() -> impl Strategy<Value = RunStatus> {
    let state = prop::sample::select(vec![
        RunState::Running,
        RunState::Finished,
        RunState::Failed,
        RunState::Cancelled,
        RunState::Other,
    ]);
    let error = of(TEXT.prop_map(|text| Error::new(ErrorKind::Cancelled, text)));
    let times = (any::<i64>(), of(any::<i64>()), any::<u64>(), any::<u64>(), any::<bool>());
    (TEXT, state, times, of(usage()), of(receipt()), error).prop_map(
        |(id, state, times, usage, receipt, error)| RunStatus {
            id,
            state,
            resumable: times.4,
            first_event: times.2,
            next_event: times.3,
            started_ms: times.0,
            finished_ms: times.1,
            usage,
            receipt,
            error,
        },
    )
}

pub fn model() -> impl Strategy<Value = ModelInfo> {
    let features = prop::sample::subsequence(Feature::ALL.to_vec(), 0..4);
    let capabilities = prop::sample::subsequence(Capability::ALL.to_vec(), 0..11);
    let price = (TEXT, of(TEXT), TEXT, any::<u64>()).prop_map(|(input, cache, output, above)| {
        let long = LongPrice {
            above,
            input: input.clone(),
            cache_read: cache.clone(),
            output: output.clone(),
        };
        ModelPrice {
            input: input.clone(),
            cache_read: cache.clone(),
            cache_write_5m: cache.clone(),
            cache_write_1h: cache.clone(),
            output,
            long_context: cache.map(|_| long),
            as_of: Some(input),
            source: Some(json!("s").to_string()),
        }
    });
    let limits = (of(any::<u32>()), of(any::<u32>()));
    (TEXT, of(TEXT), vec(TEXT, 0..3), limits, features, capabilities, of(price)).prop_map(
        |(id, provider, aliases, limits, features, capabilities, price)| ModelInfo {
            id,
            provider,
            aliases,
            context_window: limits.0,
            max_output_tokens: limits.1,
            features,
            capabilities,
            price,
        },
    )
}
