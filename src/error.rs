//! What can go wrong with an exchange: one table of public codes, and the response each becomes.
//!
//! A leaf. Steps return [`Error`]; only `pipeline::handle` turns one into a response. Clients see the kind's code and message,
//! logs see `detail`.

use std::{borrow::Cow, fmt};

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// Who is to blame, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The request.
    Client,
    /// A service that we called.
    Upstream,
    /// Ourselves.
    Internal,
}

/// A failure of one exchange (or of one call that it made).
#[derive(Clone, Debug)]
pub struct Error {
    /// The public kind.
    pub kind: ErrorKind,
    /// Whether the same call may succeed on another try, and nothing of it was acted upon.
    pub retry: bool,
    /// What happened, for logs; never sent to clients unless it is the client's own mistake (`Source::Client`).
    pub detail: Cow<'static, str>,
    /// Headers that the response must carry (`WWW-Authenticate`, `Retry-After`, `Allow`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is wrong with a GraphQL document, where it is more than one thing or has a place.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a GraphQL document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Response keys down to the field that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Box<str>>,
}

/// A place in a GraphQL document; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $code:literal $status:ident $source:ident $message:literal)*) => {
        /// The public kinds of failure. Each has a stable code, a status, a culprit and a default message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable code that clients, logs and metrics show.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// Who is to blame.
            pub const fn source(self) -> Source {
                match self { $(Self::$kind => Source::$source,)* }
            }

            /// What a client is told when there is nothing more precise.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$kind => $message,)* }
            }
        }
    };
}

kinds! {
    /// The request breaks HTTP in a way that two parsers could read differently, or is otherwise malformed.
    BadRequest "BAD_REQUEST" BAD_REQUEST Client "The request is malformed."
    /// A path that we refuse to interpret (encoded slashes, dot segments after decoding, control characters).
    BadPath "BAD_PATH" BAD_REQUEST Client "The request path is not acceptable."
    /// No route.
    NotFound "NOT_FOUND" NOT_FOUND Client "No route matches this request."
    /// Not an authority for this host.
    Misdirected "MISDIRECTED_REQUEST" MISDIRECTED_REQUEST Client "This server does not serve the requested host."
    /// A route, but not for this method.
    MethodNotAllowed "METHOD_NOT_ALLOWED" METHOD_NOT_ALLOWED Client "This method is not allowed here."
    /// None of the media types that the client accepts can be given.
    NotAcceptable "NOT_ACCEPTABLE" NOT_ACCEPTABLE Client "None of the accepted media types can be produced."
    /// The request's media type is not understood.
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" UNSUPPORTED_MEDIA_TYPE Client "The request's content type is not supported."
    /// `Expect` with anything but `100-continue`.
    ExpectationFailed "EXPECTATION_FAILED" EXPECTATION_FAILED Client "The expectation cannot be met."
    /// The body is over its limit.
    BodyTooLarge "PAYLOAD_TOO_LARGE" PAYLOAD_TOO_LARGE Client "The request body is too large."
    /// The target is over its limit.
    UriTooLong "URI_TOO_LONG" URI_TOO_LONG Client "The request target is too long."
    /// The header section is over its limit.
    HeadersTooLarge "HEADERS_TOO_LARGE" REQUEST_HEADER_FIELDS_TOO_LARGE Client "The request's headers are too large."
    /// The client was too slow.
    RequestTimeout "REQUEST_TIMEOUT" REQUEST_TIMEOUT Client "The request did not arrive in time."
    /// A browser could have been made to send this.
    CsrfRejected "CSRF_REJECTED" BAD_REQUEST Client "The request could have been forged by a web page: send a non-simple content type or a required header."
    /// Nobody, or not who they claim to be.
    Unauthenticated "UNAUTHENTICATED" UNAUTHORIZED Client "Valid credentials are needed."
    /// Somebody, but not entitled.
    Forbidden "FORBIDDEN" FORBIDDEN Client "Access is denied."
    /// Over a rate limit.
    RateLimited "RATE_LIMITED" TOO_MANY_REQUESTS Client "Too many requests: try again later."
    /// Over the cap of requests in flight.
    Overloaded "OVERLOADED" SERVICE_UNAVAILABLE Internal "The gateway is at its limit: try again later."
    /// A field or type that the one who asks must not use.
    UnauthorizedField "UNAUTHORIZED_FIELD_OR_TYPE" FORBIDDEN Client "This field or its type is not available to the caller."
    /// The GraphQL request is not well formed.
    GraphqlBadRequest "GRAPHQL_BAD_REQUEST" BAD_REQUEST Client "The GraphQL request is malformed."
    /// The document does not parse.
    GraphqlParseFailed "GRAPHQL_PARSE_FAILED" BAD_REQUEST Client "The GraphQL document does not parse."
    /// The document is not valid on the schema.
    GraphqlValidationFailed "GRAPHQL_VALIDATION_FAILED" BAD_REQUEST Client "The GraphQL document is not valid."
    /// Variables that do not fit.
    BadUserInput "BAD_USER_INPUT" BAD_REQUEST Client "The variables do not fit the operation."
    /// Which operation?
    OperationResolutionFailed "OPERATION_RESOLUTION_FAILURE" BAD_REQUEST Client "The operation to run cannot be determined."
    /// A budget of the operation.
    OperationTooLarge "OPERATION_TOO_LARGE" BAD_REQUEST Client "The operation is over a limit."
    /// The cost of the operation, by its estimate.
    CostTooHigh "COST_ESTIMATED_TOO_EXPENSIVE" BAD_REQUEST Client "The operation is estimated to cost too much."
    /// The cost of the operation cannot be estimated.
    CostUnknown "COST_QUERY_PARSE_FAILURE" BAD_REQUEST Client "The cost of the operation cannot be estimated."
    /// APQ: the hash alone, not known.
    PersistedQueryNotFound "PERSISTED_QUERY_NOT_FOUND" OK Client "PersistedQueryNotFound"
    /// A document that is not on the list.
    PersistedQueryRejected "PERSISTED_QUERY_REJECTED" BAD_REQUEST Client "The operation is not among the persisted ones."
    /// No supergraph to serve from.
    SupergraphUnavailable "SUPERGRAPH_UNAVAILABLE" SERVICE_UNAVAILABLE Internal "The graph is not available yet: no schema could be composed."
    /// Planning ended without a plan.
    PlanningFailed "PLANNING_FAILED" INTERNAL_SERVER_ERROR Internal "The operation could not be planned."
    /// A field that no subgraph gives where it is selected, by the supergraph itself.
    FieldUnreachable "FIELD_UNREACHABLE" INTERNAL_SERVER_ERROR Internal "No subgraph can be asked for this field here."
    /// Could not connect, or the connection broke before an answer.
    UpstreamUnreachable "UPSTREAM_UNREACHABLE" BAD_GATEWAY Upstream "The upstream service could not be reached."
    /// An answer that is not HTTP, or not what was asked for.
    UpstreamInvalid "UPSTREAM_INVALID_RESPONSE" BAD_GATEWAY Upstream "The upstream service answered with an invalid response."
    /// An answer over its limit.
    UpstreamTooLarge "UPSTREAM_RESPONSE_TOO_LARGE" BAD_GATEWAY Upstream "The upstream service's answer is too large."
    /// No answer in time.
    UpstreamTimeout "UPSTREAM_TIMEOUT" GATEWAY_TIMEOUT Upstream "The upstream service did not answer in time."
    /// No endpoint may be called now.
    UpstreamUnavailable "UPSTREAM_UNAVAILABLE" SERVICE_UNAVAILABLE Upstream "The upstream service is unavailable: try again later."
    /// The exchange's deadline has passed.
    DeadlineExceeded "GATEWAY_TIMEOUT" GATEWAY_TIMEOUT Upstream "The request took too long."
    /// A broken invariant.
    Bug "INTERNAL_SERVER_ERROR" INTERNAL_SERVER_ERROR Internal "Something went wrong inside the gateway."
}

impl Error {
    /// A failure of this kind; `detail` goes to the logs, and to the client only when the fault is the client's.
    pub fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, retry: false, detail: detail.into(), headers: Vec::new(), problems: Vec::new() }
    }

    /// A broken invariant: logged as an error with this detail, a 500 for this one request.
    pub fn bug(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Bug, detail)
    }

    /// The same, marked as safe to try again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retry = true;
        self
    }

    /// The same, with a header for the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, with what is wrong with the document.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// What the client is told: the detail when the fault is its own, the kind's message otherwise.
    pub fn public_message(&self) -> &str {
        if self.kind.source() == Source::Client && !self.detail.is_empty() { &self.detail } else { self.kind.message() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind.code(), if self.detail.is_empty() { self.kind.message() } else { &self.detail })
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn internal_details_stay_inside() {
        let error = Error::new(ErrorKind::UpstreamUnreachable, "10.0.0.7:80 refused");
        assert!(!error.public_message().contains("10.0.0.7"));
        assert_eq!(Error::new(ErrorKind::BadPath, "encoded slash").public_message(), "encoded slash");
    }
}
