"""What strangers type into the doors: taken in alike, answered by the worker, held where odd."""
