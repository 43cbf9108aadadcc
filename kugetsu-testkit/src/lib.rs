//! kugetsu's promises as reusable tests, with fakes and a scripted model server.
