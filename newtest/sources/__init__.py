"""Where candidates come from: flickr, openverse, recorded results, a folder, a table."""
