mod client;

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Forge, IssueTracker};
use kugetsu_testkit::fake::{FakeForge, ForgeApi};
use kugetsu_testkit::suite::{ForgeFixture, forges};

use super::{assert_each_is_noticed, assert_sound, faults};
use client::Client;

const TOKEN: &str = "the-right-token";

struct Fixture {
    fault: &'static str,
    forge: FakeForge,
}

#[async_trait]
impl ForgeFixture for Fixture {
    fn forge(&self) -> &FakeForge {
        &self.forge
    }

    async fn client(&self, token: &str) -> (Arc<dyn IssueTracker>, Arc<dyn Forge>) {
        let root = format!("{}{}", self.forge.url(), self.forge.api().root());
        let client = Arc::new(Client::new(self.fault, root, token));
        (Arc::clone(&client) as _, client)
    }

    fn token(&self) -> String {
        TOKEN.to_owned()
    }
}

faults! {
    an_issue_comes_with_all_that_was_said_about_it {
        "reads the first page only" => "all of it, in order",
    }
    texts_come_as_they_were_written {
        "trims texts" => "left: \"two\\nlines\\r\\nand\\ttabs\"",
    }
    it_is_told_who_wrote_something {
        "trusts everybody" => "left: Member",
        "asks for everybody anew" => "nothing is asked twice",
    }
    what_is_not_there_is_told_by_its_name {
        "does not say what is missing" => "it is not there, or cannot be seen",
        "takes a pull request for an issue" => "of a pull request's number it is told \"the comments on ",
    }
    a_wrong_token_is_told_and_not_shown {
        "repeats what the server says" => "a-wrong-token is no token",
        "shows its token to whoever debugs" => "token: \"a-wrong-token\"",
    }
    a_comment_is_written_once {
        "writes whenever it is asked" => "#issuecomment-",
        "writes its key into the comment" => "the key is nobody's business",
    }
    a_comment_whose_answer_was_lost_is_written_once {
        "writes again when the answer is lost" => "Cut(0)",
        "takes a lost answer for a failure" => "the forge failed: ",
    }
    a_mark_of_somebody_else_holds_no_comment_back {
        "believes any mark" => "left: 1",
    }
    of_many_who_comment_under_one_key_one_does {
        "writes all at once" => "pair[0] == pair[1]",
    }
    a_pull_request_is_open_merged_or_closed {
        "takes merged for closed" => "left: Closed",
    }
    a_pull_request_is_opened_once {
        "asks before it looks" => "left: 2",
    }
    a_pull_request_whose_answer_was_lost_is_opened_once {
        "takes a lost answer for a failure" => "the forge failed: ",
    }
    the_pull_request_of_a_copy_is_another_one {
        "takes anybody's branch for its own" => "right: 6",
    }
    what_passes_is_waited_out {
        "gives up at once" => "the forge failed: ",
        "never gives up" => "retry().is_possible()",
    }
    nothing_is_asked_while_it_is_forbidden {
        "asks although it is forbidden" => "it is a limit, and not None",
    }
    no_token_goes_to_another_server {
        "follows redirections" => "another server was asked",
        "reads on wherever a list goes on" => "what is beside the API was asked",
    }
    rubbish_is_told_as_a_fault {
        "takes rubbish for nothing" => "Some(NotFound",
    }
}

#[tokio::test]
async fn a_faulty_forge_client_is_noticed() {
    let faulty = async |fault| {
        let forge = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
        Box::new(Fixture { fault, forge }) as Box<dyn ForgeFixture>
    };
    assert_sound(forges::PROMISES, &faulty).await;
    assert_each_is_noticed(forges::PROMISES, FAULTS, &faulty).await;
}
