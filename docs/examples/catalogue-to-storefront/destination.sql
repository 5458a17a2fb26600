create schema shop; -- sluice creates the tables
