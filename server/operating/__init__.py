"""What an operator needs: the state of every part, copies of a folder, figures of the product."""
