//! Sources: the subgraphs' schemas, from a file, from `router.yaml` itself, or from the subgraph: `{ _service { sdl } }`.
//!
//! Relied on by `reload` and by the command line's `compose`.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>

use std::{path::Path, sync::OnceLock, time::Duration};

use futures_util::future::join_all;
use serde::Deserialize;
use supergraph::compose::Source;

use crate::{
    config::{Config, SchemaSource, SubgraphConfig},
    upstream::{UpstreamConfig, headers::InsertRule},
};

/// Largest schema of one subgraph, in bytes.
const MAX_SDL: usize = 32 << 20;

/// The operation that every subgraph answers with its schema.
const OPERATION: &str = r#"{"query":"{ _service { sdl } }"}"#;

/// A subgraph's schema, or why it cannot be had.
pub type Fetched = Result<Source, String>;

/// Asks for schemas.
#[derive(Default)]
pub struct Sources {
    /// Asks whoever has a certificate that the system trusts; making it reads all of those, which takes milliseconds.
    public: OnceLock<reqwest::Client>,
}

impl Sources {
    /// The schemas of all subgraphs, in the order of the configuration, asked for at the same time.
    pub async fn fetch_all(&self, config: &Config) -> Vec<(String, Fetched)> {
        let fetches = config.subgraphs.iter().map(async |(name, subgraph)| {
            let sdl = self.fetch(config, name, subgraph).await;
            let source = sdl.map(|sdl| Source { name: name.clone(), url: url(config, subgraph), sdl });
            (name.clone(), source)
        });
        join_all(fetches).await
    }

    async fn fetch(&self, config: &Config, name: &str, subgraph: &SubgraphConfig) -> Result<String, String> {
        match subgraph.schema_source() {
            SchemaSource::Sdl(sdl) => Ok(sdl.to_owned()),
            SchemaSource::File(path) => read(path).await,
            SchemaSource::Asked { url, headers } => {
                let upstream = subgraph.upstream.as_ref().and_then(|name| config.upstreams.get(name));
                let asking = Asking { client: self.client(upstream)?, timeout: config.shaping(name).timeout.0, headers };
                let urls = url.map_or_else(|| endpoints(upstream, subgraph), |url| vec![url.to_owned()]);
                let mut failure = "it has no address".to_owned();
                for url in urls {
                    match asking.ask(&url).await {
                        Ok(sdl) => return Ok(sdl),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
        }
    }

    /// The client for an upstream. Its own authorities are read each time, since their file may have changed.
    fn client(&self, upstream: Option<&UpstreamConfig>) -> Result<reqwest::Client, String> {
        // Between two polls a connection is as likely as not to be closed by the other side.
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().pool_max_idle_per_host(0);
        let build =
            |builder: reqwest::ClientBuilder| builder.build().map_err(|error| format!("no connection can be made: {error}"));
        if let Some(path) = upstream.and_then(|upstream| upstream.tls.ca.as_ref()) {
            let pem = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("{} has no certificates: {error}", path.display()))?;
            return build(builder.tls_certs_only(authorities));
        }
        if let Some(public) = self.public.get() {
            return Ok(public.clone());
        }
        let public = build(builder)?;
        Ok(self.public.get_or_init(|| public).clone())
    }
}

/// How a subgraph is asked.
struct Asking<'a> {
    client: reqwest::Client,
    timeout: Duration,
    headers: &'a [InsertRule],
}

/// Where a subgraph answers, as the supergraph states it.
fn url(config: &Config, subgraph: &SubgraphConfig) -> String {
    match (&subgraph.url, &subgraph.upstream) {
        (Some(url), _) => url.clone(),
        (None, Some(upstream)) => endpoints(config.upstreams.get(upstream), subgraph).into_iter().next().unwrap_or_default(),
        (None, None) => String::new(),
    }
}

/// The addresses of a subgraph that is called through an upstream.
fn endpoints(upstream: Option<&UpstreamConfig>, subgraph: &SubgraphConfig) -> Vec<String> {
    let path = subgraph.path.as_deref().unwrap_or("/");
    let endpoints = upstream.map(|upstream| upstream.endpoints.as_slice()).unwrap_or_default();
    endpoints.iter().map(|endpoint| format!("{}{path}", endpoint.url.trim_end_matches('/'))).collect()
}

async fn read(path: &Path) -> Result<String, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    });
    read.await.map_err(|error| error.to_string())?
}

impl Asking<'_> {
    async fn ask(&self, url: &str) -> Result<String, String> {
        let request = self.client.post(url).timeout(self.timeout).header(http::header::CONTENT_TYPE, "application/json");
        let request = self.headers.iter().fold(request, |request, rule| request.header(&rule.name, &rule.value));
        let mut response =
            request.body(OPERATION).send().await.map_err(|error| format!("{url} does not answer: {}", reason(&error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| format!("{url} broke off: {}", reason(&error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SDL {
                return Err(format!("{url} answers with more than {MAX_SDL} bytes"));
            }
        }
        if !status.is_success() {
            return Err(format!("{url} answers with status {}", status.as_u16()));
        }
        sdl_of(&body).map_err(|error| format!("{url} {error}"))
    }
}

/// The innermost cause, which is the telling one.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn sdl_of(body: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Option<Payload>,
        #[serde(default)]
        errors: Vec<Complaint>,
    }
    #[derive(Deserialize)]
    struct Payload {
        #[serde(rename = "_service")]
        service: Option<Service>,
    }
    #[derive(Deserialize)]
    struct Service {
        sdl: Option<String>,
    }
    #[derive(Deserialize)]
    struct Complaint {
        #[serde(default)]
        message: String,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| format!("does not answer as a subgraph does: {error}"))?;
    if let Some(sdl) = answer.data.and_then(|data| data.service).and_then(|service| service.sdl) {
        return Ok(sdl);
    }
    match answer.errors.first() {
        Some(complaint) => Err(format!("does not give its schema: {}", complaint.message)),
        None => Err("does not give its schema: there is no `_service.sdl` in its answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_schema_or_says_why_not() {
        assert_eq!(sdl_of(br#"{"data":{"_service":{"sdl":"type Query"}}}"#).as_deref(), Ok("type Query"));
        for (body, part) in [
            (r#"{"errors":[{"message":"no such field"}],"data":null}"#, "no such field"),
            (r#"{"data":{"_service":null}}"#, "_service.sdl"),
            ("<html>", "does not answer as a subgraph does"),
        ] {
            assert!(sdl_of(body.as_bytes()).is_err_and(|error| error.contains(part)), "{body}");
        }
    }
}
