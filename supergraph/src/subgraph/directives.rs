//! The directives of the federation specification, by name.
//!
//! Relied on by everything that asks what a subgraph says about federation.

use super::link::Version;

/// A directive of the federation specification. The name under which a schema knows it is [`super::Subgraph::directive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FederationDirective {
    /// `@key`
    Key,
    /// `@requires`
    Requires,
    /// `@provides`
    Provides,
    /// `@external`
    External,
    /// `@tag`
    Tag,
    /// `@extends`
    Extends,
    /// `@shareable`
    Shareable,
    /// `@inaccessible`
    Inaccessible,
    /// `@override`
    Override,
    /// `@composeDirective`
    ComposeDirective,
    /// `@interfaceObject`
    InterfaceObject,
    /// `@authenticated`
    Authenticated,
    /// `@requiresScopes`
    RequiresScopes,
    /// `@policy`
    Policy,
    /// `@context`
    Context,
    /// `@fromContext`
    FromContext,
    /// `@cost`
    Cost,
    /// `@listSize`
    ListSize,
    /// `@cacheTag`
    CacheTag,
}

impl FederationDirective {
    /// All of them, in the order of the specification.
    pub const ALL: [Self; 19] = [
        Self::Key,
        Self::Requires,
        Self::Provides,
        Self::External,
        Self::Tag,
        Self::Extends,
        Self::Shareable,
        Self::Inaccessible,
        Self::Override,
        Self::ComposeDirective,
        Self::InterfaceObject,
        Self::Authenticated,
        Self::RequiresScopes,
        Self::Policy,
        Self::Context,
        Self::FromContext,
        Self::Cost,
        Self::ListSize,
        Self::CacheTag,
    ];

    /// Its name in the specification, without `@`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Requires => "requires",
            Self::Provides => "provides",
            Self::External => "external",
            Self::Tag => "tag",
            Self::Extends => "extends",
            Self::Shareable => "shareable",
            Self::Inaccessible => "inaccessible",
            Self::Override => "override",
            Self::ComposeDirective => "composeDirective",
            Self::InterfaceObject => "interfaceObject",
            Self::Authenticated => "authenticated",
            Self::RequiresScopes => "requiresScopes",
            Self::Policy => "policy",
            Self::Context => "context",
            Self::FromContext => "fromContext",
            Self::Cost => "cost",
            Self::ListSize => "listSize",
            Self::CacheTag => "cacheTag",
        }
    }

    /// Whether Federation 1 schemas have it without any `@link`.
    #[must_use]
    pub fn is_federation_1(self) -> bool {
        matches!(self, Self::Key | Self::Requires | Self::Provides | Self::External | Self::Tag | Self::Extends)
    }

    /// The first version of the federation specification that has it.
    #[must_use]
    pub fn since(self) -> Version {
        let minor = match self {
            Self::ComposeDirective => 1,
            Self::InterfaceObject => 3,
            Self::Authenticated | Self::RequiresScopes => 5,
            Self::Policy => 6,
            Self::Context | Self::FromContext => 8,
            Self::Cost | Self::ListSize => 9,
            Self::CacheTag => 12,
            _ => 0,
        };
        Version::new(2, minor)
    }
}
