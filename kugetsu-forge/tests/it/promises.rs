//! Each of the three APIs keeps the promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{Forge, IssueTracker};
use kugetsu_forge::{ForgeClient, ForgeKind, Token};
use kugetsu_testkit::fake::{FakeForge, ForgeApi};
use kugetsu_testkit::suite::ForgeFixture;

pub(crate) struct OneForge(FakeForge, ForgeKind);

pub(crate) const TOKEN: &str = "the-right-token";

impl OneForge {
    pub(crate) async fn of(kind: ForgeKind) -> Self {
        let api = match kind {
            ForgeKind::GitHub => ForgeApi::GitHub,
            ForgeKind::GitLab => ForgeApi::GitLab,
            _ => ForgeApi::Gitea,
        };
        Self(FakeForge::start(api, TOKEN).await.unwrap(), kind)
    }
}

#[async_trait]
impl ForgeFixture for OneForge {
    fn forge(&self) -> &FakeForge {
        &self.0
    }

    async fn client(&self, token: &str) -> (Arc<dyn IssueTracker>, Arc<dyn Forge>) {
        let client = ForgeClient::new(self.1, self.0.url(), Some(Token::new(token))).unwrap();
        let client = client.with_pause(Duration::from_millis(2)).with_patience(Duration::ZERO);
        let client = Arc::new(client);
        (Arc::clone(&client) as _, client)
    }

    fn token(&self) -> String {
        TOKEN.to_owned()
    }
}

mod github {
    use super::{ForgeKind, OneForge};

    kugetsu_testkit::forge_conformance!(OneForge::of(ForgeKind::GitHub).await);
}

mod gitea {
    use super::{ForgeKind, OneForge};

    kugetsu_testkit::forge_conformance!(OneForge::of(ForgeKind::Gitea).await);
}

mod gitlab {
    use super::{ForgeKind, OneForge};

    kugetsu_testkit::forge_conformance!(OneForge::of(ForgeKind::GitLab).await);
}
