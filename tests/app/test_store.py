"""Tables are kept in folders of their own, and the oldest ones are deleted."""

from lagllama_jax.app.choice import Choice, Files
from lagllama_jax.app.store import Store, Upload, without_folder
from lagllama_jax.app.summary import TableSummary


def kept(store: Store, name: str) -> tuple[Upload, list[str]]:
    folder = store.new_folder()
    table = folder / "table" / "data.csv"
    table.write_text("ds,y\n")
    upload = Upload(name, folder, Files(table), TableSummary(("ds", "y"), 0, (), Choice()))
    return upload, store.add(upload)


def test_the_oldest_table_is_deleted_for_a_new_one(tmp_path):
    store = Store(tmp_path, 2)
    (first, none), (second, nobody), (third, dropped) = (kept(store, name) for name in "abc")
    assert (none, nobody, dropped) == ([], [], ["a"])
    assert store.get("a") is None and not first.folder.exists()
    assert store.get("b") is second and third.files.table.is_file()


def test_messages_do_not_name_the_folder(tmp_path):
    upload, _ = kept(Store(tmp_path, 1), "a")
    message = f"Cannot read {upload.files.table}: {upload.folder}/future/f.csv is damaged."
    wanted = "Cannot read data.csv: f.csv is damaged."
    assert without_folder(message, upload.folder) == wanted
