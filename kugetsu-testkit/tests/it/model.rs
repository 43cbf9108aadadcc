use kugetsu_testkit::model::ScriptedModel;
#[tokio::test]
async fn it_answers() {
    let m = ScriptedModel::start().await.unwrap();
    println!("{}", m.base_url());
}
